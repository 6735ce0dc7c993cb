"""Checks code before it runs: each import and name that the policy does not allow, with its line.

The rules, their order and the texts are those of n8n's own runner.
"""

import ast
import re
import string
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

# Returns why a module cannot be imported, or None if it can.
Refusal: TypeAlias = Callable[[str], str | None]

BLOCKED_NAMES = frozenset({"__loader__", "__builtins__", "__globals__", "__spec__", "__name__"})
BLOCKED_ATTRIBUTES = frozenset(
    """
    __annotations__ __base__ __bases__ __builtins__ __cached__ __class__ __closure__ __code__
    __delattr__ __dict__ __func__ __getattr__ __getattribute__ __globals__ __import__
    __init_subclass__ __instancecheck__ __loader__ __match_args__ __module__ __mro__ __objclass__
    __prepare__ __qualname__ __reduce__ __reduce_ex__ __self__ __self_class__ __setattr__ __spec__
    __subclasscheck__ __subclasses__ __thisclass__ __traceback__ __wrapped__ ag_code ag_frame
    cr_code cr_frame f_back f_builtins f_code f_globals f_locals gi_code gi_frame gi_yieldfrom obj
    tb_frame tb_next
    """.split()
)
# Further attributes, which n8n's runner does not block. As texts they are only data.
MORE_ATTRIBUTES = frozenset(
    """
    __dataclass_fields__ __defaults__ __getstate__ __kwdefaults__ __setstate__ ag_await cr_await mro
    """.split()
)
BLOCKED = BLOCKED_NAMES | BLOCKED_ATTRIBUTES | MORE_ATTRIBUTES
_ATTRIBUTES = BLOCKED_ATTRIBUTES | MORE_ATTRIBUTES

RELATIVE = "Relative imports are disallowed."
_WHY = "because it can be used to bypass security restrictions."
_DYNAMIC = "Dynamic __import__() calls are not allowed for security reasons."
_MANGLED = (
    "Access to name-mangled attributes (pattern: _ClassName__attr) is disallowed "
    "for security reasons."
)
_POSITIONAL = "Positional match patterns are disallowed for security reasons."

# Methods that evaluate a template, which can name attributes.
_FORMATTING = frozenset({"format", "format_map", "get_field", "vformat"})
# Those of `str`.
FORMATS = frozenset({"format", "format_map"})
_BUILTINS = frozenset({"builtins", "__builtins__"})
_attribute_in_field = re.compile(r"\.(\w+)").findall
_key_in_field = re.compile(r"\[(['\"]?)(\w+)\1\]").findall
_parse_template = string.Formatter().parse


def name_text(name: str) -> str:
    """Returns the text for a blocked name."""
    return f"Access to name '{name}' is disallowed, {_WHY}"


def attribute_text(name: str) -> str:
    """Returns the text for a blocked attribute."""
    return f"Access to attribute '{name}' is disallowed, {_WHY}"


def pattern_text(name: str) -> str:
    """Returns the text for a blocked name in a template."""
    return f"String pattern accessing '{name}' is disallowed, {_WHY}"


def violations(
    tree: ast.AST,
    refusal: Refusal,
    use_templates: Callable[[], None],
    name_all: Callable[[ast.ImportFrom], None],
) -> list[tuple[int, str]]:
    """Returns the line and text of each violation, in the order of the code.

    Calls `use_templates` if the code formats a template that is no literal. Without violations,
    calls `name_all` for each import of `*`.
    """
    inspector = _Inspector(refusal)
    todo = [tree]
    while todo:
        node = todo.pop()
        look = _LOOKS.get(type(node))
        if look is not None:
            look(inspector, node)
        todo += list(ast.iter_child_nodes(node))[::-1]
    if inspector.has_templates:
        use_templates()
    for node in inspector.stars if not inspector.found else ():
        name_all(node)
    return inspector.found


def blocked_in_template(template: str) -> Iterator[str]:
    """Yields the blocked names that a format string would read."""
    try:
        fields = list(_parse_template(template))
    except ValueError:
        return
    for _, field, specification, _ in fields:
        if field is not None:
            names = _attribute_in_field(field) + [key for _, key in _key_in_field(field)]
            yield from (name for name in names if name in BLOCKED)
        if specification:
            yield from blocked_in_template(specification)


class _Inspector:
    """The violations found so far."""

    def __init__(self, refusal: Refusal) -> None:
        self.found: list[tuple[int, str]] = []
        # Whether the code formats a template that is no literal.
        self.has_templates = False
        # Imports of `*`.
        self.stars: list[ast.ImportFrom] = []
        self._refusal = refusal
        self._imported: set[str] = set()
        # Ids of method expressions that are called directly.
        self._called: set[int] = set()

    def add(self, node: Any, text: str) -> None:
        self.found.append((node.lineno, text))

    def imports(self, node: Any, path: str) -> None:
        """Checks the import of a module. Each module is reported once."""
        if path.startswith("."):
            self.add(node, RELATIVE)
            return
        text = self._refusal(path)
        key = path.partition(".")[0] if text else path
        if text and key not in self._imported:
            self.add(node, text)
        self._imported.add(key)

    def import_(self, node: ast.Import) -> None:
        for alias in node.names:
            self.imports(node, alias.name)
            self._alias(node, alias.asname)

    def import_from(self, node: ast.ImportFrom) -> None:
        if node.level:
            self.add(node, RELATIVE)
        elif node.module:
            self.imports(node, node.module)
        if node.names[0].name == "*":
            self.stars.append(node)
        for alias in node.names:
            if not self._alias(node, alias.asname):
                self._alias(node, alias.name)

    def _alias(self, node: ast.Import | ast.ImportFrom, name: str | None) -> bool:
        if name in BLOCKED_NAMES:
            self.add(node, name_text(name))
        elif name in _ATTRIBUTES:
            self.add(node, attribute_text(name))
        return name in BLOCKED

    def name(self, node: ast.Name) -> None:
        # The library looks up the module that a class names in `__module__`.
        if node.id in BLOCKED_NAMES or (node.id == "__module__" and type(node.ctx) is not ast.Load):
            self.add(node, name_text(node.id))

    def attribute(self, node: ast.Attribute) -> None:
        name = node.attr
        if name in _ATTRIBUTES:
            self.add(node, attribute_text(name))
        if name in _FORMATTING and id(node) not in self._called:
            self.add(
                node,
                f"Extracting '{name}' as a bound method is disallowed; "
                "call it directly on its receiver instead.",
            )
        if name.startswith("_") and "__" in name and name.partition("__")[0].startswith("_"):
            self.add(node, _MANGLED)

    def call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute):
            if function.attr in _FORMATTING:
                self._called.add(id(function))
                self.has_templates |= not isinstance(function.value, ast.Constant)
            owner = function.value
            is_builtins = isinstance(owner, ast.Name) and owner.id in _BUILTINS
            is_import = is_builtins and function.attr == "__import__"
        else:
            is_import = isinstance(function, ast.Name) and function.id == "__import__"
        if is_import:
            path = _text_of(node.args[0]) if node.args else None
            if path is None:
                self.add(node, _DYNAMIC)
            else:
                self.imports(node, path)

    def subscript(self, node: ast.Subscript) -> None:
        owner = node.value
        name = None
        if isinstance(owner, ast.Name):
            name = owner.id
        elif isinstance(owner, ast.Attribute):
            name = owner.attr
        key = _text_of(node.slice)
        if name in _BUILTINS and key in BLOCKED_ATTRIBUTES:
            self.add(node, attribute_text(key))

    def constant(self, node: ast.Constant) -> None:
        if type(node.value) is str:
            self._text(node, node.value)

    def operation(self, node: ast.BinOp) -> None:
        text = _text_of(node)
        if text is not None:
            self._text(node, text)

    def _text(self, node: ast.expr, text: str) -> None:
        if text in BLOCKED_NAMES:
            self.add(node, name_text(text))
        elif text in BLOCKED_ATTRIBUTES:
            self.add(node, attribute_text(text))
        elif "{" in text:
            for name in blocked_in_template(text):
                self.add(node, pattern_text(name))

    def global_(self, node: ast.Global) -> None:
        for name in node.names:
            if name in BLOCKED_NAMES:
                self.add(node, f"Global declaration of '{name}' is disallowed, {_WHY}")

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._definition(node, "Function", node.name)

    def class_(self, node: ast.ClassDef) -> None:
        self._definition(node, "Class", node.name)

    def parameter(self, node: ast.arg) -> None:
        self._definition(node, "Parameter", node.arg)

    def _definition(self, node: Any, kind: str, name: str) -> None:
        if name in BLOCKED_NAMES:
            self.add(node, f"{kind} named '{name}' is disallowed, {_WHY}")

    def handler(self, node: ast.ExceptHandler) -> None:
        if node.name in BLOCKED_NAMES:
            self.add(node, name_text(node.name))

    def pattern(self, node: ast.MatchClass) -> None:
        if node.patterns:
            self.add(node, _POSITIONAL)
        self.has_templates |= not FORMATS.isdisjoint(node.kwd_attrs)
        for name in node.kwd_attrs:
            if name in _ATTRIBUTES:
                text = f"Match pattern extracting attribute '{name}' is disallowed, {_WHY}"
                self.add(node, text)


def _text_of(node: ast.AST) -> str | None:
    """Evaluates an expression of str literals and `+`; None for any other expression."""
    parts: list[str] = []
    todo = [node]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Constant) and type(node.value) is str:
            parts.append(node.value)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            todo += [node.right, node.left]
        else:
            return None
    return "".join(parts)


_LOOKS: dict[type, Callable[[_Inspector, Any], None]] = {
    ast.Import: _Inspector.import_,
    ast.ImportFrom: _Inspector.import_from,
    ast.Name: _Inspector.name,
    ast.Attribute: _Inspector.attribute,
    ast.Call: _Inspector.call,
    ast.Subscript: _Inspector.subscript,
    ast.Constant: _Inspector.constant,
    ast.BinOp: _Inspector.operation,
    ast.Global: _Inspector.global_,
    ast.FunctionDef: _Inspector.function,
    ast.AsyncFunctionDef: _Inspector.function,
    ast.ClassDef: _Inspector.class_,
    ast.arg: _Inspector.parameter,
    ast.ExceptHandler: _Inspector.handler,
    ast.MatchClass: _Inspector.pattern,
}
