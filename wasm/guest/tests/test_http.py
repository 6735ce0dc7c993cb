"""HTTP answers as objects, uploads, and files by reference."""

import unittest
from typing import Any

from guest import HOST, run_all
from test_helpers import buffer, http


class ResponseTest(unittest.TestCase):
    def answer(self, body: Any, status: int = 200, **headers: str) -> None:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        HOST.answers = {"helpers.httpRequest": http(status, body, **headers)}

    def returns(self, code: str, expected: Any, more: str = "") -> None:
        with self.subTest(code):
            reply = run_all(f"r = _helpers.http_request('x', full_response=True{more})\n{code}")
            self.assertEqual(reply.result, expected)

    def test_a_response_has_the_usual_members(self) -> None:
        self.answer({"ü": [1]}, content_type="application/json", X_Total="7")
        for code, expected in (
            ("return [r.json(), r.text, r.ok, r.status]", [{"ü": [1]}, '{"ü": [1]}', True, 200]),
            ("return [r.status_code, r.statusCode, r['status'], r['status_code']]", [200] * 4),
            ("return [r.reason, r['statusMessage'], r.status_message]", ["Fine"] * 3),
            ("return [r['body'], r.body, r.get('body')]", [{"ü": [1]}] * 3),
            ("return r.content.decode()", '{"ü": [1]}'),
            (
                "return [r.headers['Content-Type'], r.headers['content-type']]",
                ["application/json"] * 2,
            ),
            ("return [r.headers.get('X-TOTAL'), r['headers']['x-total']]", ["7", "7"]),
            (
                "return [r.headers.get('no'), r.headers.get('no', 1), 'x-ToTal' in r.headers]",
                [None, 1, True],
            ),
            ("return dict(r.headers)", {"content-type": "application/json", "X-Total": "7"}),
            ("return repr(r)[:16]", "<response 200: {"),
            (
                "return dir(r)",
                [
                    "body",
                    "content",
                    "headers",
                    "json",
                    "ok",
                    "reason",
                    "status",
                    "status_code",
                    "status_message",
                    "text",
                ],
            ),
            ("try: r.headers['none']\nexcept KeyError as e: return e.args", ["none"]),
            ("try: r['none']\nexcept KeyError as e: return e.args", ["none"]),
            (
                "try: r.url\nexcept AttributeError as e: return str(e)",
                "the response has no 'url'. It has body, content, headers, json(), ok, reason, "
                "status, status_code, status_message, text",
            ),
            (
                "import copy, pickle\nc = copy.deepcopy(r)\n"
                "return [c == r, pickle.loads(pickle.dumps(c)).ok]",
                [True, True],
            ),
            (
                "return r",
                {
                    "body": {"ü": [1]},
                    "headers": {"content-type": "application/json", "X-Total": "7"},
                    "statusCode": 200,
                    "statusMessage": "Fine",
                },
            ),
        ):
            self.returns(code, expected)

    def test_a_body_is_text_bytes_or_json(self) -> None:
        for body, headers, code, expected in (
            ("grüezi", {}, "[r.text, r.content.decode()]", ["grüezi", "grüezi"]),
            ("[1, 2]", {"content_type": "text/plain"}, "r.json()", [1, 2]),
            ("\ufeff[1]", {}, "r.json()", [1]),
            ("ok", {"content_type": "application/json"}, "[r.json(), r.text]", ["ok", "ok"]),
            ("", {}, "[r.text, len(r.content)]", ["", 0]),
            (None, {}, "[r.text, r.json()]", ["", None]),
        ):
            self.answer(body, 200, **headers)
            self.returns(f"return {code}", expected)
        self.answer("<html>", content_type="text/html")
        self.returns("try: r.json()\nexcept ValueError as e: return 'Expecting' in str(e)", True)
        for data, kind, text in (
            (b"\xe4", "text/plain; charset=ISO-8859-1", "ä"),
            (b"\x80", 'text/csv; charset="cp1252"; header=present', "€"),
            (b"\xef\xbb\xbfa", "text/plain; charset=latin-1", "a"),
            ("ö".encode("utf-16"), "text/plain", "ö"),
            (b"\xff", "text/plain; charset=klingon", "\ufffd"),
        ):
            self.answer(buffer(data), content_type=kind)
            self.returns("return r.text", text, ", binary=True")
        self.answer(buffer(b'{"a": 1}'))
        self.returns(
            "return [r.json(), r.content.hex()]", [{"a": 1}, b'{"a": 1}'.hex()], ", binary=True"
        )

    def test_an_error_has_its_response(self) -> None:
        self.answer({"why": "gone"}, 410, content_type="application/json")
        code = """
try: _helpers.http_request('https://user:secret@host/a/b?key=secret#c', method='PUT')
except _helpers.HttpError as e:
    r = e.response
    return [e.status, e.code, r.status_code, r.ok, r.json(), e.headers['Content-Type'], r.text,
            e.__notes__[-1]]"""
        self.assertEqual(
            run_all(code).result,
            [
                410,
                410,
                410,
                False,
                {"why": "gone"},
                "application/json",
                '{"why": "gone"}',
                "The request: PUT https://host/a/b",
            ],
        )
        HOST.answers = {"helpers.httpRequest": HOST.CallError('{"message":"connect ECONNREFUSED"}')}
        description = run_all("_helpers.http_request('http://h:1/x')").error["description"]
        self.assertTrue(
            description.endswith("CallError: connect ECONNREFUSED\nThe request: GET http://h:1/x"),
            description,
        )

    def test_other_names_of_arguments_are_explained(self) -> None:
        for argument, text in (
            ("qs={}", "'qs': write params=…"),
            ("allow_redirects=False", "'allow_redirects': write follow_redirects=…"),
            ("body=1", "'body': write json=… or data=…"),
            ("jsn=1", "'jsn'"),
        ):
            error = run_all(f"_helpers.http_request('x', {argument})").error
            self.assertEqual(
                error["message"], f"http_request() got an unexpected keyword argument {text}"
            )
        reply = run_all("help(_helpers)", printMode="text")
        self.assertNotIn("**other", reply.stdout)


class UploadTest(unittest.TestCase):
    def sent(self, arguments: str) -> tuple[dict[str, Any], str]:
        """The headers of an upload, and its body with the boundary as `B`."""
        HOST.answers = {"helpers.httpRequest": http(body="")}
        run_all(f"import io\n_helpers.http_request('x', {arguments})")
        [(_, [options])] = HOST.called
        self.assertEqual(options["method"], "POST")
        kind, _, boundary = options["headers"]["Content-Type"].partition("; boundary=")
        self.assertEqual((kind, len(boundary)), ("multipart/form-data", 32))
        return options["headers"], options["body"].replace(boundary, "B").replace("\r\n", "\n")

    def test_files_and_fields_are_one_body(self) -> None:
        headers, body = self.sent(
            "data={'a': 1, 'b': ['x', 'ü'], 'c': None}, headers={'content-TYPE': 'x', 'X': 'y'},"
            "files={'f': ('dir/r \"1\".csv', b'a;\\xc3\\xa4'), 'g': 'text', "
            "'h': ('h.bin', 'h', 'text/x-h'), 'i': (None, 'i')}"
        )
        self.assertEqual(headers["X"], "y")
        self.assertEqual(
            body,
            '--B\nContent-Disposition: form-data; name="a"\n\n1\n'
            '--B\nContent-Disposition: form-data; name="b"\n\nx\n'
            '--B\nContent-Disposition: form-data; name="b"\n\nü\n'
            '--B\nContent-Disposition: form-data; name="f"; filename="r %221%22.csv"\n'
            "Content-Type: text/csv\n\na;ä\n"
            '--B\nContent-Disposition: form-data; name="g"; filename="g"\n'
            "Content-Type: application/octet-stream\n\ntext\n"
            '--B\nContent-Disposition: form-data; name="h"; filename="h.bin"\n'
            "Content-Type: text/x-h\n\nh\n"
            '--B\nContent-Disposition: form-data; name="i"\n'
            "Content-Type: application/octet-stream\n\ni\n--B--\n",
        )

    def test_an_open_file_and_pairs_are_accepted(self) -> None:
        _, body = self.sent("files=[('f', io.BytesIO(b'1')), ('f', io.StringIO('2'))]")
        self.assertEqual(body.count('name="f"; filename="f"'), 2)
        self.assertEqual([body.count(f"\n\n{text}\n--B") for text in "12"], [1, 1])

    def test_a_header_cannot_be_forged_by_a_name(self) -> None:
        _, body = self.sent("files={'a\\r\\nX: 1': ('b\\nY: 2', 'c', 'd\\r\\nZ: 3')}")
        self.assertNotRegex(body, r"(?m)^[XYZ]: ")

    def test_what_n8n_cannot_send_says_what_to_do(self) -> None:
        for arguments, start in (
            ("data=b'\\xff'", "data has bytes that are not UTF-8 text, and n8n sends"),
            ("files={'f': ('a.png', b'\\x89PNG')}", "file 'f' has bytes that are not UTF-8 text"),
            ("files={'f': 1}", "file 'f' must be str or bytes, not int"),
            ("files={'f': ('a',)}", "file 'f' must be content, or (name, content), or"),
            ("data='x', files={}", "data must be the fields of a form if files are given"),
            ("json={}, files={}", "http_request() takes json or files, not both"),
        ):
            with self.subTest(arguments):
                error = run_all(f"_helpers.http_request('x', {arguments})").error
                self.assertEqual(error["message"][: len(start)], start)
                if "bytes that" in start:
                    self.assertIn("_helpers.prepare_binary_data", error["message"])
                    self.assertIn("HTTP Request node", error["message"])
                self.assertEqual(HOST.called, [])


class FilesTest(unittest.TestCase):
    ITEMS = (
        {"json": {}, "binary": {"data": {"mimeType": "a/b", "data": "filesystem-v2", "id": "f:1"}}},
        {"json": {}, "binary": {"x": {"mimeType": "a/b", "data": "YQ=="}}},
    )

    def test_a_file_is_found_by_index_name_item_or_value(self) -> None:
        HOST.answers = {
            "helpers.getBinaryDataBuffer": lambda *place: buffer(str(place).encode()),
            "helpers.assertBinaryData": lambda *place: list(place),
        }
        outside = {"mimeType": "c/d", "id": "filesystem-v2:9"}
        for place, expected in (
            ("", (0, "data")),
            ("1, 'x'", (1, "x")),
            ("'x'", (0, "x")),
            ("_items[1], 'x'", (1, "x")),
            ("_input.first()", (0, "data")),
            ("_items[0]['binary']['data']", (0, "data")),
            ("_items[1]['binary']['x']", (1, "x")),
            (f"{outside}", (0, outside)),
            (f"{{'json': {{}}, 'binary': {{'q': {outside}}}}}, 'q'", (0, outside)),
        ):
            with self.subTest(place):
                code = f"return _helpers.get_binary_data({place}).decode()"
                self.assertEqual(run_all(code, self.ITEMS).result, str(expected))
                code = f"return _helpers.assert_binary_data({place})"
                self.assertEqual(run_all(code, self.ITEMS).result, list(expected))

    def test_a_missing_file_is_named(self) -> None:
        # n8n's own error has no text.
        HOST.answers = {"helpers.getBinaryDataBuffer": HOST.CallError("{}")}
        for place, message in (
            ("0, 'y'", "Item 0 has no binary property 'y'. It has 'data'"),
            ("1", "Item 1 has no binary property 'data'. It has 'x'"),
            ("7", "There is no item 7: this node has 2 input item(s)"),
            ("0", "n8n cannot read the file 'data' of item 0"),
            (
                "{'json': {}, 'binary': {}}",
                "The item has no binary property 'data'. It has no binary data",
            ),
            ("{}", "this dict is neither an item with binary data nor a value of its binary"),
            (
                "1.5",
                "the place of binary data is an item's index, an item, or a value of its "
                "binary, not float",
            ),
        ):
            with self.subTest(place):
                error = run_all(f"_helpers.get_binary_data({place})", self.ITEMS).error
                self.assertEqual(error["message"], message)


if __name__ == "__main__":
    unittest.main()
