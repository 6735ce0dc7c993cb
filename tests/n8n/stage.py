"""The processes of the tests: n8n, the runner, and a local HTTP server."""

import os
import secrets
from pathlib import Path

from api import Api
from install import Install
from peer import Peer
from processes import Process, free_port, wait_for

# The time zone of n8n and of the runner.
TIME_ZONE = "Asia/Tokyo"
# Seconds.
TASK_TIMEOUT = 10
START_SECONDS = 180


class Stage:
    """All processes. `close` stops them in any state."""

    n8n: Process
    runner: Process

    def __init__(
        self, installed: Install, runner: Path, folder: Path, logs: Path | None = None
    ) -> None:
        """`folder` holds the data, and the logs unless `logs` is set."""
        self.installed = installed
        self.binary = runner
        self.folder = folder
        self.logs = logs or folder
        self.logs.mkdir(parents=True, exist_ok=True)
        self.token = secrets.token_hex(16)
        self.port, self.broker_port = free_port(), free_port()
        self.api = Api(f"http://127.0.0.1:{self.port}")
        self.peer = Peer()
        self.started: list[Process] = []

    def start(self) -> None:
        """Starts everything and waits until the runner is registered with n8n."""
        self.start_n8n()
        self.api.become_owner()
        self.start_runner()

    def close(self) -> None:
        """Stops every process."""
        self.peer.close()
        for process in reversed(self.started):
            process.kill()

    def process(
        self, name: str, command: list[str], environment: dict[str, str], log: str
    ) -> Process:
        """Starts a process that `close` stops."""
        self.started.append(Process(name, command, environment, self.logs / log))
        return self.started[-1]

    def start_n8n(self) -> None:
        """Starts n8n with the same ports and data at each start, and waits until it is ready."""
        command = [str(self.installed.node), str(self.installed.n8n), "start"]
        self.n8n = n8n = self.process("n8n", command, self.n8n_environment(), "n8n.log")
        wait_for(
            "n8n to start", START_SECONDS, lambda: self.api.ready() or n8n.child.poll() is not None
        )
        if n8n.child.poll() is not None:
            raise RuntimeError(f"n8n ended with {n8n.child.returncode}:\n{n8n.tail()}")

    def start_runner(self) -> None:
        """Starts the runner and waits until n8n has registered it."""
        mark = self.n8n.written()
        environment = {
            "PATH": os.environ["PATH"],
            "N8N_RUNNERS_TASK_BROKER_URI": f"http://127.0.0.1:{self.broker_port}",
            "N8N_RUNNERS_AUTH_TOKEN": self.token,
            "N8N_RUNNERS_TASK_TIMEOUT": str(TASK_TIMEOUT),
            "GENERIC_TIMEZONE": TIME_ZONE,
            "NO_COLOR": "1",
        }
        command = [str(self.binary), "runner"]
        self.runner = self.process("the runner", command, environment, "runner.log")
        self.wait_for_runner(mark)

    def wait_for_runner(self, mark: int) -> None:
        """Waits until n8n has registered a runner after a mark in its log."""
        self.n8n.wait_for("Registered runner", mark, 30)

    def n8n_environment(self) -> dict[str, str]:
        """The environment of an n8n with SQLite and external runners that sends no telemetry."""
        return {
            "PATH": f"{self.installed.node.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "N8N_USER_FOLDER": str(self.folder),
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_PORT": str(self.port),
            "N8N_RUNNERS_MODE": "external",
            "N8N_RUNNERS_AUTH_TOKEN": self.token,
            "N8N_RUNNERS_BROKER_PORT": str(self.broker_port),
            "N8N_RUNNERS_TASK_REQUEST_TIMEOUT": "10",
            "N8N_GRACEFUL_SHUTDOWN_TIMEOUT": "20",
            "N8N_PAYLOAD_SIZE_MAX": "64",
            "N8N_SECURE_COOKIE": "false",
            "N8N_LOG_LEVEL": "info",
            "CODE_ENABLE_STDOUT": "true",
            "GENERIC_TIMEZONE": TIME_ZONE,
            "NO_COLOR": "1",
        } | dict.fromkeys(
            (
                "N8N_AI_ENABLED",
                "N8N_COMMUNITY_PACKAGES_ENABLED",
                "N8N_DIAGNOSTICS_ENABLED",
                "N8N_DYNAMIC_BANNERS_ENABLED",
                "N8N_HIRING_BANNER_ENABLED",
                "N8N_LICENSE_AUTO_RENEW_ENABLED",
                "N8N_PERSONALIZATION_ENABLED",
                "N8N_TEMPLATES_ENABLED",
                "N8N_USE_WORKFLOW_PUBLICATION_SERVICE",
                "N8N_VERSION_NOTIFICATIONS_ENABLED",
                "N8N_VERSION_NOTIFICATIONS_WHATS_NEW_ENABLED",
            ),
            "false",
        )
