"""Serpentarium runs untrusted Python in a sandbox. The package carries the executable."""

import os
import subprocess
import sys
import sysconfig

IS_WINDOWS = os.name == "nt"
NAME = "serpentarium.exe" if IS_WINDOWS else "serpentarium"


def find_executable() -> str:
    """Returns the path of the executable; raises `FileNotFoundError` without it.

    pip puts it into the directory of scripts: of the environment, of the user (`--user`), or beside
    the packages (`--target`).
    """
    beside = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin")
    user = sysconfig.get_path("scripts", f"{os.name}_user")
    places = [sysconfig.get_path("scripts"), user, beside]
    paths = [os.path.join(place, NAME) for place in places]
    for path in paths:
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"no {NAME} in {', '.join(places)}")


def main() -> None:
    """Becomes the executable."""
    command = [find_executable(), *sys.argv[1:]]
    if IS_WINDOWS:
        # `os.execv` would return to the console at once.
        sys.exit(subprocess.run(command, check=False).returncode)
    os.execv(command[0], command)
