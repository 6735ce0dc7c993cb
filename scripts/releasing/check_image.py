"""Runs a container image as an unprivileged user in a read-only root that holds nothing else."""

import hashlib
import io
import json
import os
import platform
import shlex
import socket
import subprocess
import tarfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from releasing.check import ran
from releasing.oci import EXECUTABLE, USER, VARIABLES
from releasing.recipe import BuildError

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# A static executable reads random bytes from a device.
DEVICES = ("null", "zero", "random", "urandom")
# Seconds until the runner must be healthy.
PATIENCE = 15


def unpack(path: Path, architecture: str, root: Path) -> dict[str, Any]:
    """Unpacks the image of an architecture, checks all hashes, and returns its configuration."""
    with tarfile.open(path) as layout:

        def blob(descriptor: dict[str, Any]) -> bytes:
            kind, digest = descriptor["digest"].split(":")
            member = layout.extractfile(f"blobs/{kind}/{digest}")
            data = member.read() if member else b""
            if hashlib.sha256(data).hexdigest() != digest or len(data) != descriptor["size"]:
                raise BuildError(f"  {path.name}: blob {digest} is not what its name says")
            return data

        index = layout.extractfile("index.json")
        top = json.loads(index.read() if index else b"")["manifests"][0]
        manifests = json.loads(blob(top))["manifests"]
        [own] = [one for one in manifests if one["platform"]["architecture"] == architecture]
        manifest = json.loads(blob(own))
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(blob(layer))) as files:
                files.extractall(root, filter="data")
        config: dict[str, Any] = json.loads(blob(manifest["config"]))
        return config


def runs(path: Path, work: Path) -> None:
    """Runs the demonstration in the image, and a runner until it is healthy."""
    config = unpack(path, ARCHITECTURES[platform.machine()], work)["config"]
    if config["Entrypoint"] != [EXECUTABLE] or not config["User"].startswith(f"{USER}:"):
        raise BuildError(f"  {path.name}: unexpected configuration {config}")
    for name in ("proc", "dev"):
        (work / name).mkdir()
    ran(_inside(work, [EXECUTABLE, "demo"], VARIABLES))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # A broker that is not there: the runner waits for it, and its workers are alive.
    env = VARIABLES | {
        "N8N_RUNNERS_HEALTH_CHECK_SERVER_PORT": str(port),
        "N8N_RUNNERS_AUTH_TOKEN": "none",
        "N8N_RUNNERS_TASK_BROKER_URI": "http://127.0.0.1:1",
    }
    runner = subprocess.Popen(_inside(work, [EXECUTABLE, *config["Cmd"]], env))
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}/healthz")
    finally:
        runner.terminate()
        runner.wait(PATIENCE)


def _wait_until_healthy(address: str) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError as error:
            if time.monotonic() > end:
                raise BuildError(f"  the runner in the image is not healthy: {error}") from error
            time.sleep(0.1)


def _inside(root: Path, command: list[str], env: dict[str, str]) -> list[str]:
    """The command in a namespace of its own: the image as a read-only root, /proc, devices."""
    place = shlex.quote(str(root))
    lines = [
        f"mount --bind {place} {place}",
        f"mount --rbind /proc {place}/proc",
        f"mount -t tmpfs -o mode=755 dev {place}/dev",
    ]
    for name in DEVICES:
        lines.append(f"touch {place}/dev/{name}; mount --bind /dev/{name} {place}/dev/{name}")
    lines.append(f"mount -o remount,bind,ro {place}")
    is_root = os.geteuid() == 0
    user = f"--userspec={USER}:{USER}" if is_root else ""
    words = ["env", "-i", *(f"{name}={value}" for name, value in env.items())]
    lines.append(
        f'exec {shlex.join(words)} "$(command -v chroot)" {user} {place} {shlex.join(command)}'
    )
    # Without a namespace of processes, signals reach the program itself.
    space = ["unshare", "--mount", *([] if is_root else ["--user", "--map-root-user"])]
    return [*space, "sh", "-ec", "\n".join(lines)]
