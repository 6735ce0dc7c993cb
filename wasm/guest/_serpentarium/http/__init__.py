"""HTTP requests by the usual names: one transport under `urllib`, `requests` and `httpx`.

- `transport`: sends a request through the host, or through n8n
- `forms`: the two forms of such a call
- `sockets`: a socket that carries HTTP alone; `http.client` and `urllib3` use it
- `opener`: the errors of `urllib.request`, and no proxies
- `pool`: the connections of `httpx`, in the place of `httpcore`
"""
