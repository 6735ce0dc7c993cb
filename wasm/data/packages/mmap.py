"""A `mmap` without mapped files: pandas imports it, and asks whether a file is one."""

import errno

ACCESS_DEFAULT, ACCESS_READ, ACCESS_WRITE, ACCESS_COPY = range(4)
PAGESIZE = ALLOCATIONGRANULARITY = 65536


class mmap:
    """A mapped file, of which there are none."""

    def __new__(cls, *_args: object, **_options: object) -> "mmap":
        """Raises `OSError`."""
        raise OSError(errno.ENODEV, "this sandbox cannot map files into memory")
