"""The place of an error: where the task runs, the user's frame, and the expression that failed."""

import ast
from types import FrameType, TracebackType
from typing import Any

from _serpentarium.abi import AS_TEXT, EACH_ITEM, NODE_MODE, PRINT_MODE
from _serpentarium.core.code import FILENAME, parse
from _serpentarium.core.code import lines as split_lines
from _serpentarium.core.current import task

# Sites of a task. Their settings differ in name: flags, environment variables, `Limits`.
EXEC = "exec"
NODE = "node"
LIBRARY = "library"

# Characters of a value in a hint.
_MAX_SHOWN = 60
# Characters of code that are parsed again to find an expression: the time stays small.
_MAX_CODE = 200_000

_traceback = BaseException.__dict__["__traceback__"]
_args = BaseException.__dict__["args"]
_type_name = type.__dict__["__name__"]


class Clue:
    """Reads the place of an error, each part when a row asks for it."""

    __slots__ = ("_error", "_nodes", "_searched")

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self._searched = False
        # The expression, after the nodes around it.
        self._nodes: list[ast.AST] = []

    @property
    def site(self) -> str:
        """Where the task runs: `EXEC` (also `bench` and `profile`), `NODE` or `LIBRARY`."""
        settings = task.settings
        if settings.get(PRINT_MODE) == AS_TEXT:
            return EXEC
        return NODE if NODE_MODE in settings else LIBRARY

    @property
    def is_each_item(self) -> bool:
        """Whether the code runs once for each item."""
        return task.settings.get(NODE_MODE) == EACH_ITEM

    def allows(self, module: str) -> bool:
        """Returns whether the policy lets the code import a module."""
        return task.policy is None or task.policy.refusal(module) is None

    @property
    def entry(self) -> TracebackType | None:
        """The traceback's entry of the innermost frame of user code."""
        found, entry = None, _traceback.__get__(self._error)
        while entry is not None:
            if entry.tb_frame.f_code.co_filename == FILENAME:
                found = entry
            entry = entry.tb_next
        return found

    @property
    def frame(self) -> FrameType | None:
        """The innermost frame of user code."""
        entry = self.entry
        return entry.tb_frame if entry is not None else None

    @property
    def line(self) -> str:
        """The line of the user's text that failed; empty if it is unknown."""
        entry = self.entry
        lines = split_lines(task.code)
        at = entry.tb_lineno if entry is not None else 0
        return lines[at - 1] if 0 < at <= len(lines) else ""

    def expression(self) -> ast.AST | None:
        """Returns the node of the user's text that the failed instruction belongs to."""
        if not self._searched:
            self._searched = True
            self._find()
        return self._nodes[-1] if self._nodes else None

    def comprehension(self) -> ast.comprehension | None:
        """Returns the loop of the innermost comprehension around the expression, if it has one."""
        self.expression()
        for node in reversed(self._nodes):
            generators = getattr(node, "generators", None)
            if generators:
                return generators[0] if len(generators) == 1 else None
        return None

    def is_called(self) -> bool:
        """Returns whether the expression is the function of a call."""
        node = self.expression()
        return any(isinstance(call, ast.Call) and call.func is node for call in self._nodes)

    def attributes_after(self) -> list[str]:
        """Returns the attributes from the failed one outwards, without the name of a method."""
        names: list[str] = []
        inner = self.expression()
        for node in reversed(self._nodes):
            if isinstance(node, ast.Attribute) and (node is inner or node.value is inner):
                names.append(node.attr)
                inner = node
            elif isinstance(node, ast.Call) and node.func is inner:
                return names[:-1]
        return names

    def _find(self) -> None:
        """Finds the expression, and the nodes around it."""
        entry = self.entry
        if entry is None or len(task.code) > _MAX_CODE:
            return
        places = list(entry.tb_frame.f_code.co_positions())
        place = places[entry.tb_lasti // 2]
        if None in place:
            return
        todo: list[tuple[ast.AST, int]] = [(parse(task.code), 0)]
        path: list[ast.AST] = []
        while todo:
            node, depth = todo.pop()
            del path[depth:]
            path.append(node)
            # Of two nodes with one place, the inner comes later: a statement and its expression.
            if _place(node) == place:
                self._nodes = [*path]
            todo += [(child, depth + 1) for child in ast.iter_child_nodes(node)]


def _place(node: Any) -> tuple[int | None, ...]:
    get = node.__dict__.get
    return get("lineno"), get("end_lineno"), get("col_offset"), get("end_col_offset")


def text_of(error: BaseException) -> str:
    """Returns the first argument of an exception if it is a str, else an empty text."""
    arguments = _args.__get__(error)
    return arguments[0] if arguments and type(arguments[0]) is str else ""


def shown(value: object) -> str:
    """Returns the `repr` of a plain value, cut; the name of the type of any other."""
    if value is None or type(value) in (str, bytes, int, float, bool):
        value = value[: _MAX_SHOWN + 1] if isinstance(value, (str, bytes)) else value
        text = repr(value)
        return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
    return f"<{_type_name.__get__(type(value))}>"
