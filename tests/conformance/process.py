"""The runner as a process: started for a broker, with an environment and files of its own, and never left behind."""

import asyncio
import os
import signal
import socket
import tempfile
from pathlib import Path

import handshake

# What a command may need to be found and to run at all; all else is the case's.
PASSED = ("HOME", "LANG", "PATH")
# Bytes of a line of the runner's log.
MOST_OF_A_LINE = 1 << 20


class Runner:
    """A runner that runs. Use it with `async with`."""

    def __init__(self, command, port, environment, files):
        self._command = command
        self._files = files
        self._directory = tempfile.TemporaryDirectory(prefix="conformance-")
        self.health_port = free_port() if "$PORT" in environment.values() else None
        given = {
            "N8N_RUNNERS_TASK_BROKER_URI": f"http://127.0.0.1:{port}",
            "N8N_RUNNERS_AUTH_TOKEN": handshake.AUTH_TOKEN,
            **environment,
        }
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        self._environment = passed | {
            name: self._fill(value) for name, value in given.items() if value is not False
        }
        self.output = []

    def _fill(self, value):
        return value.replace("$PORT", str(self.health_port)).replace("$FILES", self._directory.name)

    async def __aenter__(self):
        for name, content in self._files.items():
            Path(self._directory.name, name).write_text(content)
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=MOST_OF_A_LINE,
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        try:
            # Its children as well: the session is its own.
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        await self._process.wait()
        self._reading.cancel()
        self._directory.cleanup()

    async def _read(self):
        while line := await self._process.stdout.readline():
            self.output.append(line.decode(errors="replace").rstrip("\n"))

    def signal(self, name):
        """Sends a signal, such as `TERM`, to the process that the command started."""
        self._process.send_signal(signal.Signals[f"SIG{name}"])

    async def ended(self):
        """Waits for the end; the exit code, negative for a signal."""
        await self._process.wait()
        await asyncio.wait([self._reading], timeout=0.2)
        return self._process.returncode


def free_port():
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
