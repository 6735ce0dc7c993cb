"""`_helpers.http_request`, to a server on this machine."""

import re

from case import Case

CASES = [
    Case(
        name="a request gives the parsed body",
        code="return _helpers.http_request(url='{peer}/json')",
        answers=[[{"hello": "world"}]],
    ),
    Case(
        name="method, parameters, headers and JSON go out",
        code="""
seen = _helpers.http_request(
    url="{peer}/echo", method="PUT", params={"a": "1 ä"}, headers={"X-Test": "yes"},
    json={"text": "ü"},
)
return {key: seen[key] for key in ("method", "query", "body")} | {
    "header": seen["headers"]["x-test"], "type": seen["headers"]["content-type"],
}""",
        answers=[
            [
                {
                    "method": "PUT",
                    "query": {"a": "1 ä"},
                    "body": '{"text":"ü"}',
                    "header": "yes",
                    "type": re.compile("^application/json"),
                }
            ]
        ],
    ),
    Case(
        name="text goes out as it is",
        code="""
seen = _helpers.http_request(
    url="{peer}/echo", method="POST", data="plain ü", headers={"content-type": "text/plain"}
)
return {"body": seen["body"], "type": seen["headers"]["content-type"]}""",
        answers=[[{"body": "plain ü", "type": "text/plain"}]],
    ),
    Case(
        name="a full response has status and headers",
        code="""
response = _helpers.http_request(url="{peer}/json", full_response=True)
kind = response.headers["content-type"]
return {"status": response.status_code, "body": response.body, "type": kind}""",
        answers=[[{"status": 200, "body": {"hello": "world"}, "type": "application/json"}]],
    ),
    Case(
        name="a response has the members of requests",
        code="""
r = _helpers.http_request(url="{peer}/json", full_response=True)
kinds = [r.headers["Content-Type"], r.headers.get("CONTENT-TYPE")]
return {"parsed": r.json(), "text": r.text, "ok": r.ok, "status": r.status, "types": kinds}""",
        answers=[
            [
                {
                    "parsed": {"hello": "world"},
                    "text": '{"hello": "world"}',
                    "ok": True,
                    "status": 200,
                    "types": ["application/json", "application/json"],
                }
            ]
        ],
    ),
    Case(
        name="text files are uploaded with fields",
        code="""
seen = _helpers.http_request(
    url="{peer}/echo", data={"kind": "täble"}, files={"file": ("t.csv", "a;ö".encode())}
)
body, kind = seen["body"], seen["headers"]["content-type"]
boundary = kind.partition("boundary=")[2]
return {"method": seen["method"], "body": body.replace(boundary, "B"), "type": kind[:20]}""",
        answers=[
            [
                {
                    "method": "POST",
                    "type": "multipart/form-data;",
                    "body": '--B\r\nContent-Disposition: form-data; name="kind"\r\n\r\ntäble\r\n'
                    '--B\r\nContent-Disposition: form-data; name="file"; filename="t.csv"\r\n'
                    "Content-Type: text/csv\r\n\r\na;ö\r\n--B--\r\n",
                }
            ]
        ],
    ),
    Case(
        name="bytes that n8n cannot send fail with the way out",
        code="_helpers.http_request(url='{peer}/echo', method='PUT', data=b'\\x00\\xff')",
        error={"message": re.compile("prepare_binary_data.*HTTP Request node"), "lineNumber": 1},
    ),
    Case(
        name="n8n's own options work too",
        code="""
options = {'url': '{peer}/echo', 'method': 'POST', 'qs': {'q': 1}, 'body': {'b': 2}}
return _helpers.httpRequest(options)""",
        answers=[[{"method": "POST", "query": {"q": "1"}, "body": '{"b":2}'}]],
    ),
    Case(
        name="a redirect is followed",
        code="return _helpers.http_request(url='{peer}/redirect')",
        answers=[[{"hello": "world"}]],
    ),
    Case(
        name="bytes come as bytes",
        code="""
body = _helpers.http_request("{peer}/bytes?count=1000", binary=True)
return {"same": body == bytes(n % 256 for n in range(1000))}""",
        answers=[[{"same": True}]],
    ),
    Case(
        name="an error status raises with status and body",
        code="""
try:
    _helpers.http_request(url="{peer}/status/404")
except _helpers.HttpError as error:
    return {"status": error.status_code, "body": error.body, "text": str(error)}""",
        answers=[[{"status": 404, "body": {"status": 404}, "text": re.compile("404")}]],
    ),
    Case(
        name="an error status can be read without an exception",
        code="""
response = _helpers.http_request("{peer}/status/503", raise_for_status=False, full_response=True)
return {"status": response.status_code, "body": response.body}""",
        answers=[[{"status": 503, "body": {"status": 503}}]],
    ),
    Case(
        name="an uncaught failed request fails the node",
        code="x = 1\n_helpers.http_request(url='{peer}/status/500')",
        error={"message": re.compile("500"), "lineNumber": 2},
    ),
    Case(
        name="an unreachable server raises",
        code="""
try:
    _helpers.http_request(url="http://127.0.0.1:9/")
except _helpers.CallError as error:
    return {"text": str(error)}""",
        answers=[[{"text": re.compile("ECONNREFUSED.*127.0.0.1:9")}]],
    ),
    Case(
        name="a timeout raises",
        code="""
try:
    _helpers.http_request(url="{peer}/slow?ms=2000", timeout=0.2)
except _helpers.CallError as error:
    return {"text": str(error)}""",
        answers=[[{"text": re.compile("timeout|timed out|aborted")}]],
    ),
    Case(
        name="a hundred requests at once take about as long as one",
        code="""
import asyncio, time
begin = time.monotonic()
requests = (_helpers.http_request_async(url="{peer}/slow?ms=1000") for _ in range(100))
answers = await asyncio.gather(*requests)
return {"answers": len(answers), "quick": time.monotonic() - begin < 3}""",
        answers=[[{"answers": 100, "quick": True}]],
    ),
    Case(
        name="requests sends through n8n",
        code="""
import requests
seen = requests.put(
    "{peer}/echo", params={"a": "1 ä"}, json={"b": 2}, headers={"X-Test": "yes"}, timeout=20
).json()
moved = requests.get("{peer}/redirect")
return {
    "method": seen["method"], "query": seen["query"], "body": seen["body"],
    "header": seen["headers"]["x-test"], "moved": moved.json(),
    "history": [step.status_code for step in moved.history],
    "missing": requests.get("{peer}/status/404").status_code,
    "bytes": requests.get("{peer}/bytes?count=300").content == bytes(n % 256 for n in range(300)),
}""",
        answers=[
            [
                {
                    "method": "PUT",
                    "query": {"a": "1 ä"},
                    "body": '{"b": 2}',
                    "header": "yes",
                    "moved": {"hello": "world"},
                    "history": [302],
                    "missing": 404,
                    "bytes": True,
                }
            ]
        ],
    ),
    Case(
        name="httpx and urllib send through n8n",
        code="""
import asyncio, httpx, time, urllib.error, urllib.request
with urllib.request.urlopen("{peer}/redirect") as response:
    text = response.read().decode()
try:
    urllib.request.urlopen("{peer}/status/500")
except urllib.error.HTTPError as error:
    status = error.code
try:
    httpx.get("{peer}/slow?ms=5000", timeout=0.2)
except httpx.ReadTimeout:
    late = True
async with httpx.AsyncClient() as client:
    begin = time.monotonic()
    calls = [client.get("{peer}/slow?ms=1000") for _ in range(20)]
    found = [answer.json()["slow"] for answer in await asyncio.gather(*calls)]
quick = time.monotonic() - begin < 3
return {"text": text, "status": status, "late": late, "all": all(found), "quick": quick}""",
        answers=[
            [
                {
                    "text": '{"hello": "world"}',
                    "status": 500,
                    "late": True,
                    "all": True,
                    "quick": True,
                }
            ]
        ],
    ),
    Case(
        name="requests of pool threads overlap",
        code="""
import requests, time
from concurrent.futures import ThreadPoolExecutor
begin = time.monotonic()
with ThreadPoolExecutor(10) as pool:
    found = list(pool.map(lambda _: requests.get("{peer}/slow?ms=1000").ok, range(10)))
return {"found": all(found), "quick": time.monotonic() - begin < 5}""",
        answers=[[{"found": True, "quick": True}]],
    ),
]
