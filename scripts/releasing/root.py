"""A private Debian system that builds for other machines and runs their programs.

It is a directory in the user's cache with Debian 13: a Rust compiler with the standard libraries of
other targets, cross compilers, and emulators. Nothing is installed into this machine. Programs run
in it with chroot(2), in a mount namespace of their own. All of this needs root.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from releasing.recipe import ROOT, BuildError, PrivateApt, Store, find_mirror, run, step

SUITE = "trixie"
# `rustc-web` is the newest stable compiler that Debian keeps for browsers.
COMPILER = "rustc-web"
LIBRARY = "libstd-rust-web-dev"
LIBC = "libc6-dev-arm64-cross"
PACKAGES = (
    COMPILER,
    LIBRARY,
    "gcc",
    "libc6-dev",
    "gcc-aarch64-linux-gnu",
    LIBC,
    "qemu-user",
    "rust-web-src",
    "gcc-mingw-w64-x86-64-win32",
    "wine",
    "wine64",
)
# The sources of the standard library, for targets that Debian has no library of.
LIBRARY_SOURCES = "usr/lib/rustlib/src/rust/library"

# Architectures whose standard library is unpacked beside that of this machine.
FOREIGN = ("arm64",)
# Bytes that identify an executable for 64-bit Arm, and those of them that count (binfmt_misc).
QEMU = "qemu-aarch64"
MAGIC = r"\x7fELF\x02\x01\x01" + r"\x00" * 9 + r"\x02\x00\xb7\x00"
MASK = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"
MOUNTED = ("proc", "sys", "dev")
BINFMT = "/proc/sys/fs/binfmt_misc"


class PrivateRoot:
    """The private system."""

    def __init__(self, store: Store) -> None:
        self._store = store
        contents = hashlib.sha256(" ".join((SUITE, *PACKAGES, *FOREIGN)).encode()).hexdigest()
        self.directory = store.root.parent / "targets" / contents[:16]
        self._mark = self.directory / ".complete"
        self._log = store.log("targets")

    def ensure(self) -> None:
        """Makes the system unless it is there. This takes about three minutes."""
        if os.geteuid() != 0:
            raise BuildError(
                "  the private system for other machines needs root\n  to do: start again as root"
            )
        if self._mark.exists():
            return
        with self._store.locked("targets"):
            if not self._mark.exists():
                shutil.rmtree(self.directory, ignore_errors=True)
                self._log.unlink(missing_ok=True)
                self._bootstrap()
                self._install()
                self._mark.touch()

    def _bootstrap(self) -> None:
        tools = self.directory.with_name("debootstrap")
        with step(f"Making a private system of Debian {SUITE}"):
            shutil.rmtree(tools, ignore_errors=True)
            apt = PrivateApt(tools / "apt", self._log)
            apt.download([f"debootstrap/{SUITE}"], tools)
            [archive] = tools.glob("*.deb")
            run(["dpkg", "-x", archive, tools], log=self._log)
            mirror = find_mirror()
            command = [tools / "usr/sbin/debootstrap", "--variant=minbase"]
            command += ["--keyring", mirror.signed_by] if mirror.signed_by else []
            env = os.environ | {"DEBOOTSTRAP_DIR": str(tools / "usr/share/debootstrap")}
            run([*command, SUITE, self.directory, mirror.uri], log=self._log, env=env)
            shutil.rmtree(tools)

    def _install(self) -> None:
        with step("Installing compilers and emulators into it"):
            for architecture in FOREIGN:
                self._inside("dpkg", "--add-architecture", architecture)
            self._inside("apt-get", "-q", "update")
            quiet = ["apt-get", "-q", "-y", "--no-install-recommends"]
            self._inside(*quiet, "install", *PACKAGES)
            for architecture in FOREIGN:
                # Its dependencies are programs of that architecture, which nothing needs.
                name = f"{LIBRARY}:{architecture}"
                unpack = f"cd /tmp && apt-get -q download {name} && dpkg -x {LIBRARY}_*.deb /"
                self._inside("sh", "-c", f"{unpack} && rm {LIBRARY}_*.deb")
            self._inside("apt-get", "clean")

    def _inside(self, *command: str) -> None:
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        run(self.command(command, binds=[], env=env), log=self._log, env=_plain())

    def command(
        self,
        command: Sequence[object],
        *,
        binds: Sequence[Path],
        env: Mapping[str, str],
        emulated: bool = False,
    ) -> list[str]:
        """The command that runs a program in the system.

        `emulated` lets programs for other machines start each other. binfmt_misc is registered in a
        user namespace of its own, so that this machine keeps its list.
        """
        words = [str(word) for word in command]
        space = ["unshare", "--mount", *(["--user", "--map-root-user"] if emulated else [])]
        return [*space, "sh", "-ec", self._script(words, binds, env, emulated)]

    def _script(
        self, command: Sequence[str], binds: Sequence[Path], env: Mapping[str, str], emulated: bool
    ) -> str:
        root = shlex.quote(str(self.directory))
        lines = ["mount --make-rprivate /"]
        for name in MOUNTED:
            lines.append(f"mount --rbind /{name} {root}/{name}")
        for path in binds:
            place = shlex.quote(str(path))
            lines.append(f"mkdir -p {root}{place}; mount --rbind {place} {root}{place}")
        for name in ("/etc/resolv.conf", "/etc/hosts"):
            lines.append(f"[ ! -e {name} ] || cp {name} {root}{name}")
        if emulated:
            entry = f":{QEMU}:M::{MAGIC}:{MASK}:{self.directory}/usr/bin/{QEMU}:FP"
            lines.append(f"mount -t binfmt_misc binfmt_misc {root}{BINFMT}")
            lines.append(f"printf %s {shlex.quote(entry)} > {root}{BINFMT}/register")
        words = [f"{name}={value}" for name, value in env.items()]
        inner = ["env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *words, *command]
        lines.append(f"exec chroot {root} {shlex.join(inner)}")
        return "\n".join(lines)


def _plain() -> dict[str, str]:
    """The environment of the namespace's set-up, without settings of cargo or git."""
    return {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")}


def toolchain() -> Path:
    """The directory of the Rust toolchain whose cargo builds in the private system."""
    command = ["rustc", "--print", "sysroot"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError("  rustc does not run\n  to do: install Rust 1.95 or later")
    return Path(done.stdout.strip())
