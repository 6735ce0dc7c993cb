"""The build's variables for `sysconfig`.

Only the few that need no compiler: the image cannot compile extensions.
"""

build_time_vars = {
    "EXT_SUFFIX": ".cpython-313-wasm32-wasi.so",
    "HOST_GNU_TYPE": "wasm32-unknown-wasip1",
    "MACHDEP": "wasi",
    "MULTIARCH": "wasm32-wasi",
    "Py_DEBUG": 0,
    "Py_ENABLE_SHARED": 0,
    "Py_GIL_DISABLED": 0,
    "SOABI": "cpython-313-wasm32-wasi",
    "TZPATH": "",
    "VERSION": "3.13",
    "WITH_PYMALLOC": 1,
    "prefix": "/usr",
}
