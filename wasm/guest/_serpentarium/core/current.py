"""The current task. An instance runs exactly one, so every module finds it here."""

import builtins
import sys
from types import ModuleType
from typing import Any

_MAIN = "__main__"
# The program's `__file__`: code looks for its data in the directory. The file does not exist.
_FILE = "/home/task/main.py"
_modules = sys.modules
_Module = ModuleType


class Task:
    """The settings of the task, and the state of its program."""

    __slots__ = ("code", "item_index", "namespace", "policy", "result", "settings")

    settings: dict[str, Any]
    # The text of the program.
    code: str
    # The globals of the program: the dict of the module `__main__`.
    namespace: dict[str, Any]
    # The item that the code is running for, in a mode that runs it once for each item.
    item_index: int | None
    # The value that the code returned.
    result: object
    # Set by the package `policy`: the lists that apply to the code.
    policy: Any

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets the previous task, in a rehearsal or a test."""
        self.settings = {}
        self.code = ""
        self.new_module()
        self.item_index = None
        self.result = None
        self.policy = None

    def new_module(self) -> dict[str, Any]:
        """Makes the module `__main__` anew. Returns its dict, the globals of the program."""
        module = _modules[_MAIN] = _Module(_MAIN)
        namespace = self.namespace = module.__dict__
        namespace["__builtins__"] = builtins
        namespace["__file__"] = _FILE
        return namespace

    def free(self) -> None:
        """Drops the task's data, so that a reply fits into the memory."""
        self.settings = {}
        self.namespace.clear()
        self.result = None


task = Task()
