"""CPython's own tests: the modules, and the files that each of them needs."""

import base64
import io
import re
import zipfile
from functools import cache
from pathlib import Path

# Directories that no test module needs inside the sandbox, or that tests find by themselves.
_NEVER = {"__pycache__", "libregrtest"}
# Files that every module gets.
_ALWAYS = ("__init__.py", "support/")
# Files that a module finds by listing the directory.
_FOUND = {
    "test_bz2": ("test_argparse.py", "test_descr.py"),
    "test_lzma": ("test_argparse.py", "test_descr.py"),
}
# C test modules that have stubs, and modules of tests that import one as a whole, or through
# `test.support`, though most of their tests do without.
_STUBS = ("_testinternalcapi", "_testlimitedcapi", "_testsinglephase")
_STUBBED = frozenset(
    """
    test_bytes test_class test_code test_compile test_compileall test_dis test_import
    test_importlib test_marshal test_opcache test_pkgutil test_pyclbr test_traceback test_types
    """.split()
)
# Words of modules that need the package `test_tools`.
_USE_TOOLS = {"i18n_helper", "test_tools"}


class Suite:
    """The tests in a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def modules(self) -> list[str]:
        """Returns the names of all test modules. A package of tests is split into its modules."""
        found = []
        for path in sorted(self._root.glob("test_*")):
            if path.suffix == ".py":
                found.append(path.stem)
            elif (path / "__init__.py").exists():
                inner = sorted(path.rglob("test_*.py"))
                names = [
                    ".".join(one.relative_to(self._root).with_suffix("").parts) for one in inner
                ]
                found += names or [path.name]
        return found

    def files(self, module: str) -> str:
        """Returns a ZIP archive of the files that a module needs, in base64."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
            for name in sorted(self._needed(module)):
                out.write(self._root / name, f"test/{name}")
        return base64.b64encode(archive.getvalue()).decode()

    def stubs(self, module: str) -> tuple[str, ...]:
        """Returns the C test modules that get a stub."""
        return _STUBS if module.partition(".")[0] in _STUBBED else ()

    def _needed(self, module: str) -> set[str]:
        """Returns the module's file, and all files that their texts name, directly or not."""
        top = module.partition(".")[0]
        todo = [name for name in self._all() if name.startswith((f"{top}/", *_ALWAYS))]
        todo += [f"{top}.py"] if f"{top}.py" in self._all() else []
        todo += _FOUND.get(top, ())
        needed: set[str] = set()
        while todo:
            name = todo.pop()
            if name not in needed:
                needed.add(name)
                todo += self._named(name)
        return needed

    @cache  # noqa: B019 (one suite lives as long as the program)
    def _all(self) -> frozenset[str]:
        paths = (path for path in self._root.rglob("*") if path.is_file())
        names = [path.relative_to(self._root) for path in paths]
        return frozenset(str(name) for name in names if not _NEVER & set(name.parts))

    @cache  # noqa: B019
    def _by_word(self) -> dict[str, list[str]]:
        """Files by the words by which a text can name them: file, stem, directory."""
        table: dict[str, list[str]] = {}
        for name in self._all():
            path = Path(name)
            for word in {path.name, path.stem, *path.parts[:-1]} - {"__init__", "data", "support"}:
                table.setdefault(word, []).append(name)
        return table

    @cache  # noqa: B019
    def _named(self, name: str) -> list[str]:
        if not name.endswith(".py"):
            return []
        text = (self._root / name).read_text("utf-8", "replace")
        if name.startswith("support/"):
            return []
        own = Path(name).stem
        words = {word for word in re.findall(r"[\w.-]+", text) if word != own}
        # A dotted word names a module of a package, too.
        words |= {part for word in words for part in word.split(".")}
        table = self._by_word()
        found = [file for word in words for file in table.get(word, ())]
        # A test module that is only mentioned is not needed, unless it is imported.
        needed = [file for file in found if not _is_test(file) or _imports(text, file)]
        return needed + ["test_tools/__init__.py"] * (not words.isdisjoint(_USE_TOOLS))


def _is_test(name: str) -> bool:
    """Returns whether a file belongs to a module or package of tests."""
    return name.startswith("test_") and (name.endswith(".py") or "/" in name)


def _imports(text: str, name: str) -> bool:
    top = re.escape(Path(name).parts[0].removesuffix(".py"))
    return re.search(rf"(?:import|from) (?:test\.|[\w, ]*)\b{top}\b", text) is not None
