"""Files that come with a task, and those that it hands back."""

import base64
import os
import shutil
import tempfile
import unittest
from typing import Any

from guest import Reply, run_all, run_program

# More than one chunk, in base64 and in bytes, and no multiple of three.
_LARGE = bytes(range(256)) * 6_001


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


class ExchangeTest(unittest.TestCase):
    def setUp(self) -> None:
        # Not a TemporaryDirectory: the end of a task would remove it.
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)

    def files(self, given: dict[str, bytes], *out: str) -> dict[str, Any]:
        """The host's addition to the settings."""
        files: dict[str, Any] = {}
        if given:
            files["in"] = [
                {"path": f"{self.root}/{name}", "data": encoded(data)}
                for name, data in given.items()
            ]
        if out:
            files["out"] = [f"{self.root}/{name}" for name in out]
        return {"serpentarium": {"files": files}}

    def back(self, reply: Reply) -> dict[str, bytes]:
        """The files of a reply, by name."""
        files = reply.value.get("files", [])
        return {
            file["path"].removeprefix(self.root + "/"): base64.b64decode(
                file["data"], validate=True
            )
            for file in files
        }

    def test_files_are_there_when_the_code_begins(self) -> None:
        given = {"a": b"", "d/e/b": b"\0\xff", "c": _LARGE, "d/f": b"1"}
        code = f"import os\nos.chdir({self.root!r})\nreturn sorted(os.listdir('.'))"
        reply = run_program(code, **self.files(given))
        self.assertEqual(reply.result, ["a", "c", "d"])
        for name, data in given.items():
            with open(f"{self.root}/{name}", "rb") as file:
                self.assertEqual(file.read(), data)

    def test_a_file_that_cannot_be_made_is_an_error(self) -> None:
        reply = run_program("return 1", **self.files({"a": b"", "a/b": b""}))
        self.assertEqual(reply.message, f"The file {self.root}/a/b cannot be made: Not a directory")
        reply = run_program("return 1", **self.files({"d/a": b"", "d": b""}))
        self.assertEqual(reply.message, f"The file {self.root}/d cannot be made: Is a directory")

    def test_files_below_the_directories_are_handed_back(self) -> None:
        code = f"""
import os
os.chdir({self.root!r})
os.makedirs('out/d/e')
os.makedirs('out/empty')
for name, data in [('out/d/b', b'b'), ('out/c', b''), ('out/d/e/a', input), ('other/x', b'x'),
                   ('not', b'n')]:
    with open(name, 'wb') as file:
        file.write(data if type(data) is bytes else bytes(range(256)) * data)
return 'text é'"""
        reply = run_program(code, input=6_001, **self.files({}, "out", "other", "removed"))
        self.assertEqual(reply.value["result"], "text é")
        expected = {"out/c": b"", "out/d/b": b"b", "out/d/e/a": _LARGE, "other/x": b"x"}
        self.assertEqual(self.back(reply), expected)
        self.assertEqual(list(self.back(reply)), ["out/c", "out/d/b", "out/d/e/a", "other/x"])

    def test_a_task_of_n8n_hands_files_back(self) -> None:
        code = f"open({self.root!r} + '/out/a', 'w').write('1')\nreturn [{{'json': {{}}}}]"
        reply = run_all(code, **self.files({}, "out"))
        self.assertEqual(reply.value["result"], [{"json": {}}])
        self.assertEqual(self.back(reply), {"out/a": b"1"})

    def test_without_files_the_reply_is_the_usual_one(self) -> None:
        self.assertEqual(run_program("return 1", **self.files({}, "out")).value, {"result": 1})
        code = f"open({self.root!r} + '/out/a', 'w')\nraise ValueError('no')"
        self.assertEqual(run_program(code, **self.files({}, "out")).message, "no")
        code = f"import os\nos.rmdir({self.root!r} + '/away')"
        self.assertEqual(run_program(code, **self.files({}, "away")).value, {"result": None})

    def test_links_are_left_out(self) -> None:
        code = f"""
import os
os.chdir({self.root!r})
open('secret', 'w').write('x')
os.symlink('../secret', 'out/file')
os.symlink('..', 'out/directory')
os.rmdir('other')
os.symlink('.', 'other')
os.link('secret', 'out/hard')"""
        reply = run_program(code, **self.files({}, "out", "other"))
        self.assertEqual(self.back(reply), {"out/hard": b"x"})

    def test_files_that_are_still_open_are_complete(self) -> None:
        code = f"""
import os
os.chdir({self.root!r} + '/out')
text = open('text', 'w', encoding='utf-8')
text.write('text')
both = open('both', 'w+b')
both.write(b'both')
closed = open('closed', 'w')
closed.close()
class Sly(type):
    def __hash__(cls): raise ValueError('never')
    def __eq__(cls, other): raise ValueError('never')
    def __instancecheck__(cls, other): raise ValueError('never')
class Value(metaclass=Sly): pass
values = [Value()]"""
        reply = run_program(code, **self.files({}, "out"))
        self.assertEqual(
            self.back(reply), {"out/both": b"both", "out/closed": b"", "out/text": b"text"}
        )

    def test_exit_functions_write_and_remove_files_before(self) -> None:
        code = f"""
import atexit, os
os.chdir({self.root!r} + '/out')
open('early', 'w').write('1')
def end():
    os.unlink('early')
    open('late', 'w').write('2')
atexit.register(end)"""
        reply = run_program(code, **self.files({}, "out"))
        self.assertEqual(self.back(reply), {"out/late": b"2"})

    def test_names_that_the_host_refuses_are_an_error(self) -> None:
        for name, shown in (
            ("a\nb", r"a\nb"),
            ("\x7f", r"\x7f"),
            (os.fsdecode(b"\xff"), r"\udcff"),
        ):
            with self.subTest(shown):
                code = f"open({self.root!r} + '/out/' + input, 'w').close()"
                reply = run_program(code, input=name, **self.files({}, "out"))
                self.assertEqual(
                    reply.message,
                    f"The file '{self.root}/out/{shown}' cannot be handed back: its name has a "
                    "control character, or is not UTF-8",
                )
                os.unlink(f"{self.root}/out/{name}")

    def test_names_are_json_and_surrogates_of_the_result_too(self) -> None:
        code = f"open({self.root!r} + '/out/\"ü\\\\', 'w').write('1')\nreturn '\\ud800'"
        reply = run_program(code, **self.files({}, "out"))
        self.assertEqual(self.back(reply), {'out/"ü\\': b"1"})
        self.assertEqual(reply.value["result"], "\ud800")


if __name__ == "__main__":
    unittest.main()
