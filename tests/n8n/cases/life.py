"""Stops, restarts, drains and losses. Each case ends with n8n and a registered runner."""

import os
import signal
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import workflow
from api import Answer
from case import Failure, compare
from processes import wait_for
from stage import Stage

WAIT = "import time\ntime.sleep({seconds})\nreturn {{'waited': True}}"
POOL = ThreadPoolExecutor(64)


class Running:
    """A workflow with one Python node, called in the background."""

    def __init__(self, stage: Stage, code: str) -> None:
        """Saves and activates the workflow."""
        self.stage = stage
        self.path = uuid.uuid4().hex
        nodes = [workflow.webhook(self.path), workflow.python("Python", code)]
        self.identifier = stage.api.activate(workflow.chain("life", nodes, {}))

    def call(self) -> Future[Answer]:
        """Calls the webhook without waiting for the response."""
        return POOL.submit(self.stage.api.call, self.path, {})

    def execution(self) -> str:
        """Waits until the task runs. Returns the id of the execution."""

        def look() -> list[dict[str, Any]]:
            return self.stage.api.executions(self.identifier, "running")

        identifier = str(wait_for("the execution to start", 10, look)[0]["id"])
        time.sleep(0.3)
        return identifier

    def error(self) -> dict[str, Any]:
        """The node's error."""
        return dict(self.stage.api.last_execution(self.identifier)["data"]["resultData"]["error"])


def answered(call: Future[Answer], expected: Any, seconds: float) -> None:
    """Checks a response: it arrives in time and has status 200."""
    answer = call.result(seconds)
    if answer.status != 200:
        raise Failure(f"status {answer.status}: {answer.body[:200]!r}")
    compare("answer", answer.json(), expected)


def works(stage: Stage) -> None:
    """Checks that a new task succeeds within 5 seconds."""
    answered(Running(stage, "return {'works': True}").call(), [{"works": True}], 5)


def stop(stage: Stage, code: str) -> None:
    """Stops an execution as a user does, and checks that n8n and the runner end it."""
    mark = stage.runner.written()
    running = Running(stage, code)
    call = running.call()
    stage.api.stop(running.execution())
    compare("status", call.result(3).status, 500)
    compare("execution", stage.api.last_execution(running.identifier)["status"], "canceled")
    stage.runner.wait_for("cancelled", mark, 2)
    works(stage)


def stop_computing(stage: Stage) -> None:
    """A user stops code that computes."""
    stop(stage, "while True:\n    pass")


def stop_waiting(stage: Stage) -> None:
    """A user stops code that waits."""
    stop(stage, WAIT.format(seconds=4))


def many_at_once(stage: Stage) -> None:
    """Sixty calls at once are all answered."""
    running = Running(stage, "return {'sum': sum(range(1000))}")
    for call in [running.call() for _ in range(60)]:
        answered(call, [{"sum": 499_500}], 30)


def waiting_at_once(stage: Stage) -> None:
    """Five tasks that wait a second run side by side."""
    running = Running(stage, WAIT.format(seconds=1))
    begin = time.monotonic()
    for call in [running.call() for _ in range(5)]:
        answered(call, [{"waited": True}], 10)
    if (seconds := time.monotonic() - begin) > 3:
        raise Failure(f"five tasks of a second took {seconds:.1f} s")


def worker_lost(stage: Stage) -> None:
    """A worker process that is killed fails its task, and another takes its place."""
    running = Running(stage, "while True:\n    pass")
    call = running.call()
    running.execution()
    for worker in children(stage.runner.child.pid):
        os.kill(worker, signal.SIGKILL)
    compare("status", call.result(10).status, 500)
    if "worker process" not in running.error()["message"]:
        raise Failure(f"the error is {running.error()['message']!r}")
    works(stage)


def runner_drains(stage: Stage) -> None:
    """A runner that is asked to end finishes its task first."""
    running = Running(stage, WAIT.format(seconds=3))
    call = running.call()
    running.execution()
    compare("exit code", stage.runner.terminate(10), 0)
    answered(call, [{"waited": True}], 5)
    stage.start_runner()
    works(stage)


def runner_lost(stage: Stage) -> None:
    """A runner that is killed fails its task, and the next runner takes over."""
    running = Running(stage, WAIT.format(seconds=4))
    call = running.call()
    running.execution()
    stage.runner.kill()
    compare("status", call.result(10).status, 500)
    compare("message", running.error()["message"], "Node execution failed")
    stage.start_runner()
    works(stage)


def task_before_runner(stage: Stage) -> None:
    """A task that comes while there is no runner waits for one."""
    stage.runner.kill()
    running = Running(stage, "return {'late': True}")
    call = running.call()
    running.execution()
    stage.start_runner()
    answered(call, [{"late": True}], 5)


def no_runner(stage: Stage) -> None:
    """A task for which no runner comes is given up by n8n."""
    stage.runner.kill()
    running = Running(stage, "return []")
    compare("status", running.call().result(20).status, 500)
    compare("message", running.error()["message"], "Task request timed out")
    stage.start_runner()
    works(stage)


def n8n_drains(stage: Stage) -> None:
    """n8n shuts down once the task is finished, and the runner finds it again after its start."""
    running = Running(stage, WAIT.format(seconds=3))
    call = running.call()
    running.execution()
    compare("exit code", stage.n8n.terminate(25), 0)
    answered(call, [{"waited": True}], 1)
    start_again(stage)


def n8n_lost(stage: Stage) -> None:
    """n8n is killed under a task, and the runner finds it again after its start."""
    running = Running(stage, WAIT.format(seconds=4))
    call = running.call()
    running.execution()
    stage.n8n.kill()
    if not isinstance(call.exception(5), OSError):
        raise Failure("the webhook was answered")
    start_again(stage)


def start_again(stage: Stage) -> None:
    """Starts n8n; the runner, which was not touched, comes back by itself."""
    mark = stage.n8n.written()
    stage.start_n8n()
    stage.wait_for_runner(mark)
    if stage.runner.child.poll() is not None:
        raise Failure(f"the runner ended with {stage.runner.child.returncode}")
    works(stage)


def children(parent: int) -> list[int]:
    """The processes that a process started."""
    return [
        int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    ]


LIFE = [
    many_at_once,
    waiting_at_once,
    stop_computing,
    stop_waiting,
    worker_lost,
    runner_drains,
    runner_lost,
    task_before_runner,
    no_runner,
    n8n_drains,
    n8n_lost,
]
