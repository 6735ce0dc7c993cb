"""Files of the task as binary data."""

import shutil
import tempfile
import unittest
from typing import Any

from guest import HOST, run_all


def buffer(data: bytes) -> dict[str, Any]:
    return {"type": "Buffer", "data": list(data)}


class BinaryFilesTest(unittest.TestCase):
    def test_a_file_is_stored_under_its_name(self) -> None:
        HOST.answers = {
            "helpers.prepareBinaryData": lambda data, name, kind: {
                "data": data,
                "fileName": name,
                "mimeType": kind,
            },
            "helpers.setBinaryDataBuffer": lambda metadata, data: {**metadata, "data": data},
        }
        # Not a TemporaryDirectory: the end of a task would remove it.
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        path = f"{directory}/a b.txt"
        stored = {"data": buffer(b"2"), "fileName": "a b.txt", "mimeType": None}
        for call, answer in (
            ("save_binary(path)", stored),
            ("save_binary(Path(path))", stored),
            (
                "saveBinary(path, 'c', 'text/x')",
                stored | {"fileName": "c", "mimeType": "text/x"},
            ),
            ("prepare_binary_data(Path(path))", stored),
            ("set_binary_data({'id': 1}, Path(path))", {"id": 1, "data": buffer(b"2")}),
        ):
            with self.subTest(call):
                # Still open.
                code = f"from pathlib import Path\npath = {path!r}\nf = open(path, 'w')\n"
                code += f"f.write('2')\nreturn _helpers.{call}"
                self.assertEqual(run_all(code).result, answer)
        error = run_all(f"_helpers.save_binary({directory!r})").message
        self.assertEqual(error, f"{directory!r} is no regular file")


if __name__ == "__main__":
    unittest.main()
