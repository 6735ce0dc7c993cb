"""A small HTTP server for requests of tasks.

/json                  {"hello": "world"}
/echo                  method, path, query, headers and body of the request
/status/404            this status, with {"status": 404}
/slow?ms=200           a response after 200 ms
/bytes?count=1000      1000 bytes, not UTF-8
/redirect              a redirect to /json
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Logs nothing."""

    def answer(
        self, status: int, body: bytes, content_type: str = "application/json", **headers: str
    ) -> None:
        """Sends a response."""
        self.send_response(status)
        for name, value in {
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def serve(self) -> None:
        """Reads a request and answers by its path."""
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if url.path == "/echo":
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = {
                "method": self.command,
                "query": query,
                "headers": headers,
                "body": body.decode(errors="replace"),
            }
            self.answer(200, json.dumps(seen).encode())
        elif url.path.startswith("/status/"):
            status = int(url.path.removeprefix("/status/"))
            self.answer(status, json.dumps({"status": status}).encode())
        elif url.path == "/slow":
            time.sleep(int(query["ms"]) / 1000)
            self.answer(200, b'{"slow": true}')
        elif url.path == "/bytes":
            self.answer(
                200,
                bytes(number % 256 for number in range(int(query["count"]))),
                "application/octet-stream",
            )
        elif url.path == "/redirect":
            self.answer(302, b"", Location="/json")
        else:
            self.answer(200, b'{"hello": "world"}')

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = serve


class Server(ThreadingHTTPServer):
    """A server with a backlog for a hundred simultaneous requests."""

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Ignores clients that closed their connection."""


class Peer:
    """The running server."""

    def __init__(self) -> None:
        """Listens on a free port."""
        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops the server."""
        self.server.shutdown()
        self.server.server_close()
