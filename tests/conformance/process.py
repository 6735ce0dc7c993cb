"""The runner as a process with its own environment and files."""

import asyncio
import os
import signal
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import handshake
from case import Environment

# Variables of this process that every runner gets: a command may need them to start.
INHERITED = ("HOME", "LANG", "PATH")
# Bytes of one line of output.
MAX_LINE = 1 << 20


class Runner:
    """A running runner. Use it with `async with`, which kills the process and its children."""

    def __init__(
        self, command: Sequence[str], port: int, environment: Environment, files: dict[str, str]
    ) -> None:
        self._command = command
        self._files = files
        self._directory = tempfile.TemporaryDirectory(prefix="conformance-")
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.health_port = free_port() if "$PORT" in environment.values() else None
        given: Environment = {
            "N8N_RUNNERS_TASK_BROKER_URI": f"http://127.0.0.1:{port}",
            "N8N_RUNNERS_AUTH_TOKEN": handshake.AUTH_TOKEN,
            **environment,
        }
        self._environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self._environment |= {
            name: self._expand(value) for name, value in given.items() if isinstance(value, str)
        }
        self.output: list[str] = []

    def _expand(self, value: str) -> str:
        port, directory = str(self.health_port), self._directory.name
        return value.replace("$PORT", port).replace("$FILES", directory)

    async def __aenter__(self) -> Self:
        for name, content in self._files.items():
            Path(self._directory.name, name).write_text(content)
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=MAX_LINE,
        )
        assert self._process.stdout is not None
        self._reading = asyncio.create_task(self._read(self._process.stdout))
        return self

    async def __aexit__(self, *_: object) -> None:
        process, reading = self._started()
        try:
            # The process group, which is the runner and its children.
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        await process.wait()
        reading.cancel()
        self._directory.cleanup()

    def _started(self) -> tuple[asyncio.subprocess.Process, asyncio.Task[None]]:
        assert self._process is not None and self._reading is not None
        return self._process, self._reading

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self.output.append(line.decode(errors="replace").rstrip("\n"))

    def signal(self, name: str) -> None:
        """Sends a signal, such as `TERM`, to the command's process."""
        self._started()[0].send_signal(signal.Signals[f"SIG{name}"])

    async def ended(self) -> int:
        """Waits for the end. Returns the exit code, negative for a signal."""
        process, reading = self._started()
        code = await process.wait()
        await asyncio.wait([reading], timeout=0.2)
        return code


def free_port() -> int:
    """A port that is free at the moment of the call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
