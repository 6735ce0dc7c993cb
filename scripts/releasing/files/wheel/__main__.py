"""`python -m serpentarium` is the command `serpentarium`."""

from . import main

main()
