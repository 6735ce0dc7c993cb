"""n8n's HTTP interface: set-up, workflows, executions, webhooks."""

import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.cookiejar import CookieJar
from typing import Any

from processes import wait_for


class ApiError(Exception):
    """n8n refused a request."""


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    body: bytes
    content_type: str

    def json(self) -> Any:
        """The body as JSON, or as text if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body.decode(errors="replace")


class Api:
    """A session of the owner of an n8n instance."""

    def __init__(self, base: str) -> None:
        """`base` is the address of n8n."""
        self.base = base
        # No proxy, because n8n listens on the loopback interface.
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
        self.opener = urllib.request.build_opener(*handlers)
        self.password = secrets.token_urlsafe(12) + "Aa1"

    def send(
        self, method: str, path: str, body: bytes | None, content_type: str, seconds: float = 90
    ) -> Answer:
        """Sends a request. Returns the response with any status."""
        headers = {"Content-Type": content_type, "browser-id": "test"}
        request = urllib.request.Request(
            self.base + path, data=body, method=method, headers=headers
        )
        try:
            response = self.opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return Answer(
                response.status, response.read(), response.headers.get("Content-Type", "")
            )

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        """Sends a request to n8n's internal REST API. Returns the `data` of the response."""
        text = None if body is None else json.dumps(body).encode()
        answer = self.send(method, f"/rest{path}", text, "application/json")
        if answer.status != 200:
            raise ApiError(
                f"{method} {path}: {answer.status} {answer.body[:500].decode(errors='replace')}"
            )
        return answer.json()["data"]

    def ready(self) -> bool:
        """Whether n8n has started."""
        try:
            return self.send("GET", "/healthz/readiness", None, "", 5).status == 200
        except OSError:
            return False

    def become_owner(self) -> None:
        """Creates the owner account of a new n8n and logs in."""
        person = {
            "email": "owner@example.com",
            "firstName": "Test",
            "lastName": "Owner",
            "password": self.password,
        }
        self.rest("POST", "/owner/setup", person)

    def activate(self, workflow: dict[str, Any]) -> str:
        """Saves and activates a workflow. Returns its id."""
        saved = self.rest("POST", "/workflows", workflow)
        self.rest("POST", f"/workflows/{saved['id']}/activate", {"versionId": saved["versionId"]})
        return str(saved["id"])

    def call(self, path: str, body: Any, content_type: str = "application/json") -> Answer:
        """Calls a webhook. Sends bytes unchanged and any other body as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", f"/webhook/{path}", data, content_type)

    def executions(self, workflow: str, status: str | None = None) -> list[dict[str, Any]]:
        """The latest ten executions of a workflow, newest first, without data."""
        wanted = {"workflowId": workflow} | ({"status": [status]} if status else {})
        query = urllib.parse.urlencode({"filter": json.dumps(wanted), "limit": 10})
        return list(self.rest("GET", f"/executions?{query}")["results"])

    def execution(self, identifier: str) -> dict[str, Any]:
        """One execution with its data."""
        found: dict[str, Any] = self.rest("GET", f"/executions/{identifier}")
        return found | {"data": unflatten(found["data"])}

    def last_execution(self, workflow: str) -> dict[str, Any]:
        """Waits for the end of the newest execution of a workflow and returns it with its data."""

        def look() -> str | None:
            newest = self.executions(workflow)[:1]
            return (
                newest[0]["id"]
                if newest and newest[0]["status"] not in ("new", "running")
                else None
            )

        return self.execution(wait_for("the end of the execution", 20, look))

    def stop(self, execution: str) -> None:
        """Stops an execution, as a user does in the editor."""
        self.rest("POST", f"/executions/{execution}/stop", {})


def unflatten(text: str) -> Any:
    """Decodes n8n's flat list (npm `flatted`): a string in it is an index into the list."""
    flat = json.loads(text)
    made: dict[int, Any] = {}

    def value(index: int) -> Any:
        entry = flat[index]
        # Registered before it is filled, because a value may contain itself.
        if index not in made and isinstance(entry, dict):
            made[index] = {}
            made[index].update((key, resolve(part)) for key, part in entry.items())
        elif index not in made and isinstance(entry, list):
            made[index] = []
            made[index].extend(resolve(part) for part in entry)
        return made.get(index, entry)

    def resolve(part: Any) -> Any:
        return value(int(part)) if isinstance(part, str) else part

    return value(0)
