import ctypes

return ctypes.CDLL(None).getpid()
