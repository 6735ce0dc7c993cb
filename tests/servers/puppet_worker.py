"""A worker process that follows the orders of a test: it speaks the pipe's protocol, with lies.

The input of a job is a list of steps, or task settings whose `code` is such a list:

- `{"send": header}` sends a frame. `"$job"` stands for the job and `"$n"` for the number of the
  repetition. The payload is `before`, `fill` letters and `after`; `announce` states another size.
- `{"raw": text}` sends these bytes, each a character.
- `{"done": text}` ends the job with this output, as a correct worker does.
- `{"repeat": count, "steps": […]}`, `{"sleep": seconds}`, `{"await": path}` of a file.
- `{"mute": true}` answers no further ping. `{"close": true}` closes the pipe and stays.
"""

import json
import os
import socket
import struct
import threading
import time
from typing import Any

USAGE = {"fuel": 1, "memory": 1, "duration": {"secs": 0, "nanos": 0}}


class Puppet:
    """One worker process, with its pipe on standard input."""

    def __init__(self) -> None:
        self.pipe = socket.socket(fileno=os.dup(0))
        self.writing = threading.Lock()
        self.mute = False
        self.closed = False

    def send(self, header: Any, payload: bytes = b"", announce: int | None = None) -> None:
        """Sends a frame."""
        head = json.dumps(header).encode()
        size = len(payload) if announce is None else announce
        with self.writing:
            self.pipe.sendall(struct.pack("<II", len(head), size) + head)
            self.pipe.sendall(payload)

    def step(self, order: dict[str, Any], job: int, n: int) -> None:
        """Follows one order."""
        if "send" in order:
            text = json.dumps(order["send"]).replace('"$job"', str(job)).replace('"$n"', str(n))
            fill = "x" * order.get("fill", 0)
            payload = order.get("before", "") + fill + order.get("after", "")
            self.send(json.loads(text), payload.encode(), order.get("announce"))
        elif "raw" in order:
            with self.writing:
                self.pipe.sendall(order["raw"].encode("latin-1"))
        elif "done" in order:
            done = {"job": job, "exit": "Output", "usage": USAGE, "stderr": ""}
            self.send({"Done": done}, order["done"].encode())
        elif "repeat" in order:
            for number in range(order["repeat"]):
                self.steps(order["steps"], job, number)
        elif "sleep" in order:
            time.sleep(order["sleep"])
        elif "await" in order:
            while not os.path.exists(order["await"]):
                time.sleep(0.01)
        elif "mute" in order:
            self.mute = True
        elif "close" in order:
            self.closed = True
            self.pipe.shutdown(socket.SHUT_RDWR)

    def steps(self, orders: list[dict[str, Any]], job: int, n: int = 0) -> None:
        """Follows orders. The parent may end the process in the middle of them."""
        for order in orders:
            self.step(order, job, n)

    def read(self, size: int) -> bytes:
        """Reads `size` bytes. Ends the process at end-of-file."""
        data = bytearray()
        while len(data) < size:
            more = self.pipe.recv(min(size - len(data), 1 << 20))
            while not more:
                if not self.closed:
                    os._exit(0)
                time.sleep(1)
            data += more
        return bytes(data)

    def serve(self) -> None:
        """Says that it is ready, and reads requests. A thread follows the orders of each job."""
        self.send({"Ready": {"lockdown": {"landlock": 0, "refused": [None] * 5}}})
        while True:
            head, payload = struct.unpack("<II", self.read(8))
            request, content = json.loads(self.read(head)), self.read(payload)
            if request == "Ping" and not self.mute:
                self.send("Pong")
            elif "Run" in request:
                orders = json.loads(content)
                if isinstance(orders, dict):
                    orders = json.loads(orders["code"])
                arguments = (orders, request["Run"]["job"])
                threading.Thread(target=self.steps, args=arguments, daemon=True).start()


if __name__ == "__main__":
    Puppet().serve()
