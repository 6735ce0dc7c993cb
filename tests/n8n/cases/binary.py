"""Binary data: n8n stores it, code reads and creates it."""

import re

from case import Case

FILE = bytes(n * n % 251 for n in range(1000))
LARGE = bytes(range(256)) * 40_960

CASES = [
    Case(
        name="a file that came in can be read",
        items=None,
        upload=FILE,
        code="""
data = _helpers.get_binary_data(0, "data")
mime = _items[0]["binary"]["data"]["mimeType"]
return {"type": type(data).__name__, "size": len(data), "start": list(data[:4]), "mime": mime}""",
        answers=[
            [
                {
                    "type": "bytes",
                    "size": 1000,
                    "start": [0, 1, 4, 9],
                    "mime": "application/octet-stream",
                }
            ]
        ],
    ),
    Case(
        name="a file is read by item, by value and by name",
        items=None,
        upload=FILE,
        code="""
get, file = _helpers.get_binary_data, _items[0]["binary"]["data"]
other = _node["Webhook"].first()["binary"]["data"]
copy = dict(file)
data = [get(place) for place in (0, "data", _items[0], file, other, copy)]
return {"stored": file["data"], "sizes": [len(d) for d in data], "same": len(set(data)) == 1}""",
        answers=[[{"stored": str, "sizes": [1000] * 6, "same": True}]],
    ),
    Case(
        name="a stored file that is decoded as base64 is explained",
        items=None,
        upload=FILE,
        code="import base64\nbase64.b64decode(_items[0]['binary']['data']['data'])",
        error={"message": re.compile("get_binary_data\\(0, 'data'\\)"), "lineNumber": 2},
    ),
    Case(
        name="a file that code makes goes out",
        code="""
file = _helpers.prepare_binary_data(b"a,b\\n1,2\\n", file_name="table.csv", mime_type="text/csv")
return [{"json": {"name": file["fileName"]}, "binary": {"data": file}}]""",
        file=b"a,b\n1,2\n",
        output=[
            {
                "json": {"name": "table.csv"},
                "binary": {"data": {"mimeType": "text/csv", "fileExtension": "csv"}},
            }
        ],
    ),
    Case(
        name="n8n finds the type of a file that code makes by its name",
        code="return {'file': _helpers.prepare_binary_data(b'{}', file_name='a.json')}",
        answers=[[{"file": {"mimeType": "application/json", "fileName": "a.json"}}]],
    ),
    Case(
        name="a file can be changed for each item",
        items=None,
        upload=FILE,
        each=True,
        code="""
data = _helpers.get_binary_data(_item_index, "data")
return {"json": {}, "binary": {"data": _helpers.prepare_binary_data(data[::-1])}}""",
        file=FILE[::-1],
    ),
    Case(
        name="a file passes through untouched",
        items=None,
        upload=FILE,
        code="return _items",
        file=FILE,
    ),
    Case(
        name="ten megabytes go in and out",
        items=None,
        upload=LARGE,
        code="""
data = _helpers.get_binary_data(0)
file = _helpers.prepare_binary_data(data, file_name="large.bin")
return [{"json": {}, "binary": {"data": file}}]""",
        file=LARGE,
    ),
    Case(
        name="a file is opened by its path and saved from one",
        items=None,
        upload=FILE,
        code="""
import zipfile
from pathlib import Path
path = _helpers.binary_path(0)
with zipfile.ZipFile("/tmp/all.zip", "w") as archive:
    archive.write(path, "first")
zipped = _helpers.save_binary("/tmp/all.zip")
again = _helpers.prepare_binary_data(Path(path))
same = _helpers.get_binary_data(again) == open(path, "rb").read()
return [{"json": {"name": zipped["fileName"], "mime": zipped["mimeType"], "same": same}}]""",
        answers=[[{"name": "all.zip", "mime": "application/zip", "same": True}]],
    ),
    Case(
        name="the data of a file can be replaced",
        code="""
file = _helpers.prepare_binary_data(b"old", file_name="a.txt")
file = _helpers.set_binary_data(file, b"new")
return [{"json": {}, "binary": {"data": file}}]""",
        file=b"new",
    ),
    Case(
        name="bytes can be read as text of an encoding",
        code="return {'text': _helpers.binary_to_string(b'\\xe4', 'latin1')}",
        answers=[[{"text": "ä"}]],
    ),
    Case(
        name="a file can be asserted",
        items=None,
        upload=FILE,
        code="return {'mime': _helpers.assert_binary_data(0, 'data')['mimeType']}",
        answers=[[{"mime": "application/octet-stream"}]],
    ),
    Case(
        name="asserting a missing file fails the node with n8n's message",
        code="_helpers.assert_binary_data(0, 'data')",
        error={
            "message": re.compile("contain a binary file 'data', but none was found"),
            "lineNumber": 1,
        },
    ),
    Case(
        name="reading a missing file is an error that names it",
        code="_helpers.get_binary_data(0, 'photo')",
        error={"message": re.compile("Item 0 has no binary property 'photo'"), "lineNumber": 1},
    ),
]
