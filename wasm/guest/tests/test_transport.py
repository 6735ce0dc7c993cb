"""HTTP by its usual names: the transport, and the sockets and connections on top of it."""

import asyncio
import http.client
import json
import socket
import ssl
import unittest
import urllib.error
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import partial
from typing import Any

from _serpentarium.core import loop
from _serpentarium.core.current import task
from _serpentarium.core.threads import schedule
from _serpentarium.http import opener, pool, sockets, transport
from _serpentarium.http.message import Message
from guest import HOST

Send = Callable[[dict[str, Any]], Any]


def answer(status: int = 200, body: bytes = b"", headers: Any = ()) -> dict[str, Any]:
    """An answer of the host."""
    return {
        "status": status,
        "reason": "Fine",
        "headers": list(headers),
        "body": b64encode(body).decode(),
    }


def failure(kind: str, entry: str | None = None) -> Exception:
    """An error of the host."""
    return HOST.CallError(json.dumps({"kind": kind, "message": f"it is {kind}", "entry": entry}))


class TransportTest(unittest.TestCase):
    def setUp(self) -> None:
        members = vars(http.client)
        before = members["socket"]
        self.addCleanup(lambda: members.update(socket=before))
        functions = {
            name: vars(urllib.request)[name] for name in ("getproxies", "getproxies_environment")
        }
        self.addCleanup(lambda: vars(urllib.request).update(functions))
        do_open = urllib.request.AbstractHTTPHandler.do_open
        self.addCleanup(setattr, urllib.request.AbstractHTTPHandler, "do_open", do_open)
        self.addCleanup(HOST.answers.clear)
        self.addCleanup(transport.reset)
        self.addCleanup(loop.install)
        loop.install()
        HOST.called = []
        sockets.install(transport.send)
        opener.install()

    def serve(self, send: Send) -> None:
        def checked(request: dict[str, Any] | None) -> Any:
            return failure("invalid") if request is None else send(request)

        HOST.answers["http.send"] = checked

    def get(self, message: Message, found: list[bytes]) -> None:
        found.append(transport.send(message).body)

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [params[0] for _, params in HOST.called if params != [None]]

    def test_urllib_sends_a_request_and_reads_its_answer(self) -> None:
        self.serve(lambda _: answer(201, b"\0\xff", [["x-a", "1"], ["x-a", "\xe9"]]))
        request = urllib.request.Request("http://a.example:81/p?q", b"\1", {"X-B": "2"})
        with urllib.request.urlopen(request, timeout=3) as response:
            self.assertEqual((response.status, response.reason), (201, "Fine"))
            self.assertEqual(response.read(), b"\0\xff")
            self.assertEqual(response.headers.get_all("x-a"), ["1", "\xe9"])
        [sent] = self.sent
        self.assertEqual((sent["method"], sent["url"]), ("POST", "http://a.example:81/p?q"))
        self.assertEqual((b64decode(sent["body"]), sent["timeout"]), (b"\1", 3))
        self.assertIn(["X-B", "2"], sent["headers"])

    def test_urllib_follows_redirects(self) -> None:
        def send(request: dict[str, Any]) -> Any:
            if request["url"].endswith("/a"):
                return answer(302, b"", [["location", "/b"]])
            return answer(200, request["url"].encode())

        self.serve(send)
        with urllib.request.urlopen("http://a.example/a") as response:
            self.assertEqual(response.read(), b"http://a.example/b")

    def test_an_error_is_the_one_of_its_kind(self) -> None:
        for kind, expected in (
            ("refused", PermissionError),
            ("resolve", socket.gaierror),
            ("connect", ConnectionRefusedError),
            ("invalid", OSError),
            ("limit", OSError),
        ):
            with self.subTest(kind):
                self.serve(lambda _, kind=kind: failure(kind))  # type: ignore[misc]
                with self.assertRaises(urllib.error.URLError) as raised:
                    urllib.request.urlopen("http://a.example/")
                self.assertIsInstance(raised.exception.reason, expected)
                self.assertIn(f"it is {kind}", str(raised.exception))
        for kind, direct in (("timeout", TimeoutError), ("broken", ConnectionResetError)):
            self.serve(lambda _, kind=kind: failure(kind))  # type: ignore[misc]
            with self.assertRaises(direct):
                urllib.request.urlopen("http://a.example/")

    def test_without_a_network_the_error_names_the_flag(self) -> None:
        task.settings = {"printMode": "text"}
        self.addCleanup(task.reset)
        with self.assertRaisesRegex(urllib.error.URLError, "has no network: .*--allow-net HOST"):
            urllib.request.urlopen("http://a.example/")
        transport.reset()
        self.serve(lambda _: failure("refused", "a.example:81"))
        with self.assertRaisesRegex(urllib.error.URLError, "--allow-net a.example:81` allows it"):
            urllib.request.urlopen("http://a.example:81/")

    def test_http_client_sends_chunks_as_one_body(self) -> None:
        self.serve(lambda request: answer(200, b64decode(request["body"] or "")))
        connection = http.client.HTTPConnection("a.example")
        # The second one looks like the end of a body.
        parts = iter([b"ab", b"0\r\n\r\n", b"c"])
        connection.request("PUT", "/", parts, encode_chunked=True)
        self.assertEqual(connection.getresponse().read(), b"ab0\r\n\r\nc")
        connection.request("HEAD", "/")
        self.assertEqual(connection.getresponse().read(), b"")

    def test_other_protocols_are_refused(self) -> None:
        made = sockets.create_connection(("a.example", 25))
        with self.assertRaisesRegex(OSError, "no sockets"):
            made.recv(1)
        with self.assertRaisesRegex(OSError, "these bytes are none"):
            made.sendall(b"\x16\x03\x01")
        made.sendall(b"CONNECT b.example:443 HTTP/1.1\r\n\r\n")
        with self.assertRaisesRegex(OSError, "without proxies"):
            made.recv(1)
        for call in (made.bind, made.listen, made.accept, made.sendto):
            with self.assertRaisesRegex(OSError, "no sockets"):
                call()

    def test_calls_of_threads_overlap(self) -> None:
        self.serve(lambda request: answer(200, request["url"].encode()))
        schedule.reset()
        self.addCleanup(schedule.reset)
        HOST.most_pending = 0
        found: list[bytes] = []
        for number in range(5):
            message = Message("GET", f"http://a.example/{number}", [], b"", None)
            schedule.start(partial(self.get, message, found))
        schedule.finish()
        self.assertEqual(sorted(found), [b"http://a.example/%d" % number for number in range(5)])
        # The last one begins alone.
        self.assertEqual((HOST.most_pending, len(HOST.pending)), (4, 0))

    def test_n8n_makes_the_request_where_the_host_makes_none(self) -> None:
        def request(options: dict[str, Any]) -> Any:
            return {
                "body": {"type": "Buffer", "data": [0, 255]},
                "headers": {"set-cookie": ["a=1", "b=2"], "content-encoding": "gzip"},
                "statusCode": 404,
                "statusMessage": "Not Found",
            }

        HOST.answers["helpers.httpRequest"] = request
        message = Message("POST", "https://a.example/", [("A", "1"), ("Host", "b")], b"x", 1.5)
        found = transport.send(message)
        self.assertEqual((found.status, found.reason, found.body), (404, "Not Found", b"\0\xff"))
        self.assertEqual(found.headers, [("set-cookie", "a=1"), ("set-cookie", "b=2")])
        self.assertEqual(
            self.sent[-1],
            {
                "url": "https://a.example/",
                "method": "POST",
                "headers": {"A": "1"},
                "encoding": "arraybuffer",
                "returnFullResponse": True,
                "ignoreHttpStatusErrors": True,
                "disableFollowRedirect": True,
                "body": "x",
                "timeout": 1500,
            },
        )
        # The host is asked once.
        transport.send(message)
        names = [name for name, _ in HOST.called]
        self.assertEqual(names, ["http.send", "helpers.httpRequest", "helpers.httpRequest"])

    def test_errors_of_n8n_have_their_kind(self) -> None:
        message = Message("GET", "https://a.example/", [], b"", None, verify=False)
        for text, expected in (
            ('{"message": "getaddrinfo ENOTFOUND a.example"}', socket.gaierror),
            ('{"message": "x", "code": "ECONNREFUSED"}', ConnectionRefusedError),
            ('{"message": "timeout of 5ms exceeded"}', TimeoutError),
            ("something else", ConnectionResetError),
        ):
            HOST.answers["helpers.httpRequest"] = HOST.CallError(text)
            with self.assertRaises(expected):
                transport.send(message)
        self.assertTrue(self.sent[-1]["skipSslCertificateValidation"])
        message.body = b"\xff"
        with self.assertRaisesRegex(OSError, "not UTF-8"):
            transport.send(message)

    def test_connections_of_httpx_send_and_wait(self) -> None:
        self.serve(lambda request: answer(200, request["url"].encode(), [["a", "\xe9"]]))
        url = pool.URL(scheme=b"http", host=b"::1", port=8080, target=b"/x")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        request = pool.Request("GET", url, headers=[(b"A", b"1")], content=[b"a", b"b"])
        with pool.ConnectionPool(ssl_context=context) as connections:
            response = connections.handle_request(request)
        self.assertEqual(b"".join(response.stream), b"http://[::1]:8080/x")
        self.assertEqual(response.headers, [(b"a", b"\xe9")])

        class Body:
            async def __aiter__(self) -> Any:
                yield b"c"

        async def main() -> bytes:
            request.stream = Body()
            async with pool.AsyncConnectionPool() as connections:
                response = await connections.handle_async_request(request)
                return b"".join([part async for part in response.stream])

        self.assertEqual(asyncio.run(main()), b"http://[::1]:8080/x")
        self.serve(lambda _: failure("refused"))
        request.stream = [b""]
        with self.assertRaises(pool.ConnectError):
            connections.handle_request(request)
        with self.assertRaises(pool.ProxyError):
            pool.HTTPProxy(proxy_url=url)


if __name__ == "__main__":
    unittest.main()
