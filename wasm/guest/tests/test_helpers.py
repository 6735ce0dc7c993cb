"""`_helpers`: requests to n8n, and conversion of its answers."""

import json
import unittest
from typing import Any

from guest import HOST, run_all, run_each


def http(status: int | None = 200, body: Any = None, **headers: str) -> dict[str, Any]:
    return {"body": body, "headers": headers, "statusCode": status, "statusMessage": "Fine"}


def buffer(data: bytes) -> dict[str, Any]:
    return {"type": "Buffer", "data": list(data)}


class HelpersTest(unittest.TestCase):
    def options(self, code: str) -> dict[str, Any]:
        """The options of the one request that the code makes."""
        HOST.answers = {"helpers.httpRequest": http(body={"ok": 1})}
        self.assertEqual(run_all(f"return {code}").result, {"ok": 1}, code)
        options: dict[str, Any]
        [(name, [options])] = HOST.called
        self.assertEqual(name, "helpers.httpRequest")
        self.assertIs(options.pop("returnFullResponse"), True)
        self.assertIs(options.pop("ignoreHttpStatusErrors"), True)
        return options

    def test_a_request_has_n8ns_options(self) -> None:
        plain = {"url": "http://x/", "method": "GET", "headers": {}}
        post = {"method": "POST"}
        for arguments, more in (
            ("'http://x/'", {}),
            (
                "url='http://x/', method='post', headers={'A': 'b'}",
                {"method": "POST", "headers": {"A": "b"}},
            ),
            ("'http://x/', params={'q': [1, 'ü']}", {"qs": {"q": [1, "ü"]}}),
            (
                "'http://x/', params=[('q', 1), ('r', 2), ('q', 3)]",
                {"qs": {"q": [1, 3], "r": 2}, "arrayFormat": "repeat"},
            ),
            ("'http://x/', params=[('q', 1)]", {"qs": {"q": 1}}),
            ("'http://x/', json={'a': 1}, method='get'", {"json": True, "body": {"a": 1}}),
            (
                "'http://x/', json={'a': [float('nan')], (1,): 2}",
                {"json": True, "body": {"a": [None], "(1,)": 2}, **post},
            ),
            (
                "'http://x/', json=float('inf')",
                {
                    "json": True,
                    "body": "null",
                    "headers": {"Content-Type": "application/json"},
                    **post,
                },
            ),
            ("'http://x/', timeout=0.001", {"timeout": 1}),
            ("'http://x/', json={'a': 1}", {**post, "json": True, "body": {"a": 1}}),
            (
                "'http://x/', json=[]",
                {
                    **post,
                    "json": True,
                    "body": "[]",
                    "headers": {"Content-Type": "application/json"},
                },
            ),
            (
                "'http://x/', json=None",
                {
                    **post,
                    "json": True,
                    "body": "null",
                    "headers": {"Content-Type": "application/json"},
                },
            ),
            ("'http://x/', data='text'", {**post, "body": "text"}),
            ("'http://x/', data='é'.encode()", {**post, "body": "é"}),
            (
                "'http://x/', data={'a': 'b c'}, headers={'content-type': 'x'}",
                {**post, "body": "a=b+c", "headers": {"content-type": "x"}},
            ),
            (
                "'http://x/', data=[('a', 1)]",
                {
                    **post,
                    "body": "a=1",
                    "headers": {"Content-Type": "application/x-www-form-urlencoded"},
                },
            ),
            ("'http://x/', timeout=2.5", {"timeout": 2500}),
            ("'http://x/', auth=('u', 'p')", {"auth": {"username": "u", "password": "p"}}),
            ("'http://x/', binary=True", {"encoding": "arraybuffer"}),
            (
                "'http://x/', follow_redirects=False, verify=False",
                {"disableFollowRedirect": True, "skipSslCertificateValidation": True},
            ),
        ):
            with self.subTest(arguments):
                self.assertEqual(self.options(f"_helpers.http_request({arguments})"), plain | more)
        options = "{'url': 'http://x/', 'qs': {'a': 1}, 'baseURL': 'http://y'}"
        self.assertEqual(
            self.options(f"_helpers.httpRequest({options})"),
            {"url": "http://x/", "qs": {"a": 1}, "baseURL": "http://y"},
        )

    def test_wrong_arguments_fail_before_the_call(self) -> None:
        for code, message in (
            (
                "_helpers.http_request()",
                "http_request() missing 1 required positional argument: 'url'",
            ),
            (
                "_helpers.http_request('x', jsn=1)",
                "http_request() got an unexpected keyword argument 'jsn'",
            ),
            (
                "_helpers.http_request('x', json=1, data='')",
                "http_request() takes json or data, not both",
            ),
            (
                "_helpers.http_request({'url': 'x'}, binary=True)",
                "http_request() takes no further argument after a dict of options",
            ),
            (
                "_helpers.http_request({'url': 'x'}, json=None)",
                "http_request() takes no further argument after a dict of options",
            ),
            (
                "_helpers.http_request('x', timeout=0)",
                "timeout must be a number of seconds, at least 0.001, not 0",
            ),
            (
                "_helpers.http_request('x', timeout=0.0004)",
                "timeout must be a number of seconds, at least 0.001, not 0.0004",
            ),
            (
                "_helpers.http_request('x', timeout=float('nan'))",
                "timeout must be a number of seconds, at least 0.001, not nan",
            ),
            (
                "_helpers.prepare_binary_data('text')",
                "binary data must be bytes, not str; a file is a pathlib.Path, or "
                "save_binary(path)",
            ),
            (
                "_helpers.save_binary(b'x')",
                "the path of a file is a str or a pathlib.Path, not bytes",
            ),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(code).error["message"], message)
                self.assertEqual(HOST.called, [])

    def test_the_body_or_the_whole_answer_comes_back(self) -> None:
        HOST.answers = {"helpers.httpRequest": http(201, [1, {"a": 2}], etag="x")}
        code = """
r = _helpers.http_request('x', full_response=True)
same = _helpers.http_request({'url': 'x', 'returnFullResponse': True})
statuses = [r.status_code, r.statusCode, r['statusCode'], r.status_message]
return [r.body, r.headers['etag'], *statuses, r == same, r]"""
        result = run_all(code).result
        self.assertEqual(result[:7], [[1, {"a": 2}], "x", 201, 201, 201, "Fine", True])
        self.assertEqual(result[7]["body"], [1, {"a": 2}])
        for whole in (
            buffer(b"\x00\xff"),
            http(body=buffer(b"\x00\xff")),
            dict(reversed(buffer(b"\x00\xff").items())),
        ):
            HOST.answers = {"helpers.httpRequest": whole}
            self.assertEqual(
                run_all("return list(_helpers.http_request('x', binary=True))").result, [0, 255]
            )
        answer = {**http(body=buffer(b"\x01")), "statusMessage": "é"}
        HOST.answers = {"helpers.httpRequest": answer}
        self.assertEqual(
            run_all("return list(_helpers.http_request('x', binary=True))").result, [1]
        )

    def test_only_requested_bytes_become_bytes(self) -> None:
        for body in (buffer(b"a"), {"type": "Buffer", "data": [256]}):
            HOST.answers = {"helpers.httpRequest": http(body=body)}
            for arguments in ("'x'", "{'url': 'x', 'encoding': 'text'}"):
                self.assertEqual(run_all(f"return _helpers.http_request({arguments})").result, body)
        for data in ([256], [-1], ["a"], [10**30], [None]):
            HOST.answers = {"helpers.httpRequest": http(body={"type": "Buffer", "data": data})}
            code = "return _helpers.http_request({'url': 'x', 'encoding': 'arraybuffer'})"
            self.assertEqual(run_all(code).result, {"type": "Buffer", "data": data})

    def test_a_redirect_that_is_not_followed_is_an_answer(self) -> None:
        for status in (304, 302, 399, None):
            HOST.answers = {"helpers.httpRequest": http(status, "moved", location="/y")}
            code = (
                "r = _helpers.http_request('x', full_response=True)\n"
                "return [r.status_code, r.headers['location'], r.body]"
            )
            self.assertEqual(run_all(code).result, [status, "/y", "moved"])

    def test_errors_can_be_copied_and_pickled(self) -> None:
        HOST.answers = {
            "helpers.httpRequest": http(404, "gone", a="b"),
            "helpers.assertBinaryData": HOST.CallError('{"message":"no"}'),
        }
        code = """
import copy, pickle
def parts(e):
    own = [getattr(e, name, 0) for name in ('status_code', 'body', 'headers')]
    return [type(e).__name__, str(e), *own, e.details, getattr(e, '__notes__', [])]
answers = []
for ask in (lambda: _helpers.http_request('x'), _helpers.assert_binary_data):
    try: ask()
    except _helpers.CallError as error:
        copies = copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))
        same = [parts(error), *map(parts, copies)]
        assert same[0] == same[1] == same[2] == same[3], same
        answers.append(same[0])
return answers"""
        self.assertEqual(
            run_all(code).result,
            [
                [
                    "HttpError",
                    "Request failed with status code 404",
                    404,
                    "gone",
                    {"a": "b"},
                    None,
                    ["The answer: gone", "The request: GET x"],
                ],
                ["CallError", "no", 0, 0, 0, {"message": "no"}, []],
            ],
        )

    def test_an_error_status_is_raised_with_the_body(self) -> None:
        HOST.answers = {"helpers.httpRequest": http(404, {"why": "not there"}, server="s")}
        code = """
try: _helpers.http_request('x')
except _helpers.HttpError as e:
    is_call_error = isinstance(e, _helpers.CallError)
    return [e.status_code, e.statusCode, e.body, e.headers, str(e), is_call_error]"""
        expected = [
            404,
            404,
            {"why": "not there"},
            {"server": "s"},
            "Request failed with status code 404",
            True,
        ]
        self.assertEqual(run_all(code).result, expected)
        error = run_all("x = 1\n_helpers.http_request('x')").error
        self.assertEqual(
            (error["message"], error["lineNumber"]), ("Request failed with status code 404", 2)
        )
        self.assertIn(
            "HttpError: Request failed with status code 404\nThe answer: {'why': 'not there'}",
            error["description"],
        )
        self.assertNotIn("_serpentarium", error["description"])
        for code in (
            "_helpers.http_request('x', raise_for_status=False)",
            "_helpers.http_request({'url': 'x', 'ignoreHttpStatusErrors': True})",
            "_helpers.http_request({'url': 'x', "
            "'ignoreHttpStatusErrors': {'ignore': True, 'except': [500]}})",
        ):
            self.assertEqual(run_all(f"return {code}").result, {"why": "not there"})
        self.assertEqual(
            HOST.called[0][1][0]["ignoreHttpStatusErrors"], {"ignore": True, "except": [500]}
        )

    def test_failures_of_n8n_become_exceptions(self) -> None:
        axios = {
            "message": "timeout of 100ms exceeded",
            "name": "AxiosError",
            "code": "ECONNABORTED",
        }
        for failure, message, details in (
            ("No such thing", "No such thing", None),
            (json.dumps(axios), "timeout of 100ms exceeded", axios),
            ("{}", "helpers.httpRequest failed, no message", {}),
            ("{not json", "{not json", None),
        ):
            HOST.answers = {"helpers.httpRequest": HOST.CallError(failure)}
            code = (
                "try: _helpers.http_request('x')\n"
                "except _helpers.CallError as e: return [str(e), e.details]"
            )
            self.assertEqual(run_all(code).result, [message, details])
        statuses: tuple[dict[str, Any], ...] = (
            {"message": "no", "status": 503},
            {"message": "no", "httpCode": "503"},
        )
        for status in statuses:
            HOST.answers = {"helpers.httpRequest": HOST.CallError(json.dumps(status))}
            code = (
                "try: _helpers.http_request('x')\n"
                "except _helpers.HttpError as e: return [str(e), e.status_code, e.details]"
            )
            self.assertEqual(run_all(code).result, ["no", 503, status])

    def test_binary_data_goes_both_ways(self) -> None:
        HOST.answers = {
            "helpers.getBinaryDataBuffer": lambda index, name: buffer(f"{index} {name}".encode()),
            "helpers.prepareBinaryData": lambda data, name, kind: {
                "data": data,
                "fileName": name,
                "mimeType": kind,
            },
            "helpers.setBinaryDataBuffer": lambda metadata, data: {**metadata, "data": data},
            "helpers.assertBinaryData": lambda index, name: {"index": index, "name": name},
            "helpers.binaryToString": lambda data, encoding: bytes(data["data"]).decode(encoding),
        }
        for code, expected in (
            ("get_binary_data(3, 'file').decode()", "3 file"),
            ("get_binary_data(property='file').decode()", "0 file"),
            ("getBinaryDataBuffer(1).decode()", "1 data"),
            (
                "prepare_binary_data(b'\\x00a', 'f.txt', 'text/plain')",
                {"data": buffer(b"\0a"), "fileName": "f.txt", "mimeType": "text/plain"},
            ),
            (
                "prepareBinaryData(memoryview(b'a'))",
                {"data": buffer(b"a"), "fileName": None, "mimeType": None},
            ),
            ("set_binary_data({'id': 1}, bytearray(b'a'))", {"id": 1, "data": buffer(b"a")}),
            ("assert_binary_data(2)", {"index": 2, "name": "data"}),
            ("binary_to_string(b'\\xe9', 'latin-1')", "é"),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(f"return _helpers.{code}").result, expected)
        items = run_each("return {'json': _helpers.get_binary_data().decode()}", [0, 0]).result
        self.assertEqual([item["json"] for item in items], ["0 data", "1 data"])

    def test_many_calls_are_pending_at_once(self) -> None:
        HOST.answers = {"helpers.httpRequest": lambda options: http(body=options["url"])}
        code = """
import asyncio
return await asyncio.gather(*[_helpers.http_request_async(str(i)) for i in range(100)])"""
        self.assertEqual(run_all(code).result, [str(i) for i in range(100)])
        self.assertEqual(HOST.most_pending, 100)
        code = """
import asyncio
async def fetch(i): return await _helpers.httpRequestAsync(str(i))
async def main():
    async with asyncio.TaskGroup() as group: tasks = [group.create_task(fetch(i)) for i in range(3)]
    return [task.result() for task in tasks] + [await fetch('x'), _helpers.http_request('y')]
return asyncio.run(main())"""
        self.assertEqual(run_all(code).result, ["0", "1", "2", "x", "y"])

    def test_calls_above_the_limit_wait(self) -> None:
        HOST.answers = {"helpers.httpRequest": lambda options: http(body=options["url"])}
        code = """
import asyncio
calls = [_helpers.http_request_async(str(i)) for i in range(1500)]
return len(set(await asyncio.gather(*calls)))"""
        for settings, most in (({}, 1000), ({"callsInFlight": 7}, 7), ({"callsInFlight": 0}, 1)):
            reply = run_all(code, serpentarium=settings)
            self.assertEqual((reply.result, HOST.most_pending), (1500, most))
        reply = run_all(f"{code}\nasyncio.run(asyncio.sleep(0))")
        self.assertEqual(HOST.most_pending, 1000)

    def test_a_cancelled_call_frees_its_slot(self) -> None:
        HOST.answers = {
            "helpers.httpRequest": lambda options: http(body=options["url"]),
            "helpers.assertBinaryData": "never",
        }
        code = """
import asyncio
for i in range(5):
    tasks = [asyncio.ensure_future(_helpers.assert_binary_data_async()) for _ in range(4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in tasks: task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
return await _helpers.http_request_async('kept')"""
        reply = run_all(code, serpentarium={"callsInFlight": 3})
        self.assertEqual(reply.result, "kept")
        forgotten = [params for name, params in reply.notified if name == "sandbox.forget"]
        first = forgotten[0][0]
        self.assertEqual(forgotten, [[number] for number in range(first, first + 15)])
        self.assertEqual(HOST.pending, {})

    def test_a_failure_is_raised_where_the_call_is_awaited(self) -> None:
        HOST.answers = {"helpers.httpRequest": lambda options: http(int(options["url"]))}
        code = """
import asyncio
calls = [_helpers.http_request_async(s) for s in ('200', '404')]
results = await asyncio.gather(*calls, return_exceptions=True)
assert results[0] is None
await _helpers.http_request_async('500')"""
        error = run_all(code).error
        self.assertEqual(
            (error["message"], error["lineNumber"]), ("Request failed with status code 500", 6)
        )
        self.assertEqual(error["description"].count('File "'), 1)

    def test_an_abandoned_call_does_not_affect_later_ones(self) -> None:
        HOST.answers = {"helpers.httpRequest": lambda options: http(body=options["url"])}
        code = """
import asyncio
async def leave():
    task = asyncio.create_task(_helpers.http_request_async('left'))
    await asyncio.sleep(0)
    task.cancel()
asyncio.run(leave())
return asyncio.run(_helpers.http_request_async('kept'))"""
        self.assertEqual(run_all(code).result, "kept")


if __name__ == "__main__":
    unittest.main()
