//! HTTP by its usual names (`urllib`, `requests`, `httpx`): in `exec`, in the library, under n8n's
//! lists, and in tasks of n8n.

use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::Query,
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse, Redirect},
    routing::{any, get},
};
use serde_json::{Value, json, value::RawValue};
use serpentarium::{
    fetch::{Network, NetworkLimits},
    protocol::{HostSettings, NodeMode, Policy, TaskSettings},
    sandbox::{
        Answer, HostCalls, HostFunctions, Job, Limits, METHOD_NOT_ALLOWED, PendingAnswer, Program,
    },
};

use crate::support::{raised, returned, sandbox};

async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let said = json!({
        "method": method.as_str(), "query": uri.query(), "body": body.to_vec(),
        "x": header("x-test"), "type": header("content-type"), "auth": header("authorization"),
        "cookie": header("cookie"),
    });
    ([("x-answer", "yes"), ("content-type", "application/json")], said.to_string())
}

async fn slow(Query(query): Query<Vec<(String, u64)>>) -> String {
    tokio::time::sleep(Duration::from_millis(query[0].1)).await;
    "slept".into()
}

/// Returns the address of a server that all tests share.
fn server() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let app = Router::new()
            .route("/echo", any(echo))
            .route("/slow", get(slow))
            .route("/bytes", get(|| async { vec![0_u8, 255, 10] }))
            .route("/moved", get(|| async { Redirect::to("/bytes") }))
            .route("/away", get(|| async { Redirect::to("http://169.254.169.254/latest") }))
            .route("/set", get(|| async { [("set-cookie", "a=1"), ("location", "/")] }));
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                send.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        receive.recv().unwrap()
    })
}

/// Runs code with `exec`. `ORIGIN` is the server's address.
fn exec(code: &str, arguments: &[&str]) -> Value {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), code.replace("ORIGIN", &format!("http://{}", server()))).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
        .args(["exec", "--json"])
        .arg(file.path())
        .args(arguments)
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).expect("a report")
}

/// Runs code that may reach the server. Returns its result.
fn result(code: &str) -> Value {
    let report = exec(code, &["--allow-net", &format!("api.example.com,{}", server())]);
    assert_eq!(report["status"], "returned", "{report}");
    report["result"].clone()
}

#[test]
fn requests_has_its_own_surface() {
    let code = r#"
import requests
r = requests.post("ORIGIN/echo", params={"a": "ä"}, json={"b": 1}, headers={"X-Test": "t"}, auth=("u", "p"))
said = r.json()
moved = requests.get("ORIGIN/moved")
with requests.Session() as session:
    session.get("ORIGIN/set")
    cookie = session.get("ORIGIN/echo").json()["cookie"]
sent = requests.put("ORIGIN/echo", data=b"\0\xff", files=None).json()["body"]
missing = requests.get("ORIGIN/nothing")
try:
    missing.raise_for_status()
except requests.HTTPError as error:
    status = error.response.status_code
return [r.ok, r.reason, r.headers["X-ANSWER"], said["method"], said["query"], bytes(said["body"]).decode(),
    said["x"], said["auth"], moved.url.endswith("/bytes"), [h.status_code for h in moved.history],
    list(moved.content), cookie, sent, status]"#;
    assert_eq!(
        result(code),
        json!([
            true,
            "OK",
            "yes",
            "POST",
            "a=%C3%A4",
            r#"{"b": 1}"#,
            "t",
            "Basic dTpw",
            true,
            [303],
            [0, 255, 10],
            "a=1",
            [0, 255],
            404
        ])
    );
}

#[test]
fn httpx_has_its_own_surface() {
    let code = r#"
import asyncio, httpx
r = httpx.post("ORIGIN/echo", json={"b": 1}, headers={"X-Test": "t"})
with httpx.Client(base_url="ORIGIN", follow_redirects=True) as client:
    moved = client.get("/moved")
async def main():
    async with httpx.AsyncClient() as client:
        parts = [part async for part in (await client.get("ORIGIN/bytes")).aiter_bytes()]
        answers = await asyncio.gather(*[client.get("ORIGIN/echo", params={"n": n}) for n in range(20)])
        return parts, [answer.json()["query"] for answer in answers]
parts, queries = await main()
try:
    httpx.get("ORIGIN/nothing").raise_for_status()
except httpx.HTTPStatusError as error:
    status = error.response.status_code
return [r.json()["x"], bytes(r.json()["body"]).decode(), moved.status_code, list(moved.content),
    list(b"".join(parts)), queries[19], status]"#;
    assert_eq!(
        result(code),
        json!(["t", r#"{"b":1}"#, 200, [0, 255, 10], [0, 255, 10], "n=19", 404])
    );
}

#[test]
fn urllib_and_http_client_work_as_they_are() {
    let code = r#"
import http.client, urllib.error, urllib.parse, urllib.request
with urllib.request.urlopen("ORIGIN/moved") as f:
    moved = [f.status, list(f.read()), f.url.endswith("/bytes")]
request = urllib.request.Request("ORIGIN/echo", b"x=1", {"X-Test": "t"}, method="PATCH")
with urllib.request.urlopen(request, timeout=20) as f:
    import json
    said = json.load(f)
try:
    urllib.request.urlopen("ORIGIN/nothing")
except urllib.error.HTTPError as error:
    code = error.code
connection = http.client.HTTPConnection(urllib.parse.urlsplit("ORIGIN").netloc)
found = []
for path in ("/bytes", "/nothing"):
    connection.request("GET", path)
    response = connection.getresponse()
    found.append([response.status, len(response.read())])
return [moved, said["method"], said["x"], said["body"], code, found]"#;
    assert_eq!(
        result(code),
        json!([[200, [0, 255, 10], true], "PATCH", "t", [120, 61, 49], 404, [[200, 3], [404, 0]]])
    );
}

#[test]
fn hosts_that_are_not_named_are_refused_in_each_library() {
    let code = r#"
import httpx, requests, urllib.error, urllib.request
found = []
for attempt in (
    lambda: requests.get("http://127.0.0.1:1/"),
    lambda: requests.get("ORIGIN/away"),
    lambda: httpx.get("ORIGIN/away", follow_redirects=True),
    lambda: urllib.request.urlopen("ORIGIN/away"),
    lambda: urllib.request.urlopen("http://api.example.com@127.0.0.1:1/"),
):
    try:
        found.append(attempt())
    except (requests.ConnectionError, httpx.ConnectError, urllib.error.URLError, OSError) as error:
        found.append(str(error).split("the host ")[-1])
return found"#;
    let found = result(code);
    for (at, host) in ["127.0.0.1:1", "169.254.169.254", "169.254.169.254", "169.254.169.254"]
        .into_iter()
        .enumerate()
    {
        let text = found[at].as_str().expect("a text");
        let advice =
            format!("{host} is not allowed: `serpentarium exec --allow-net {host}` allows");
        assert!(text.starts_with(&advice), "{text}");
    }
    assert!(found[4].is_string(), "{found}");
}

#[test]
fn without_the_flag_there_is_no_network() {
    let report = exec("import requests\nreturn requests.get('ORIGIN/bytes')", &[]);
    let message = report["error"]["message"].as_str().unwrap();
    assert!(message.contains("this sandbox has no network: "), "{message}");
    assert!(message.contains("--allow-net HOST"), "{message}");
    let output = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
        .args(["exec", "-", "--allow-net", "http://example.com"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is no host: it has a scheme"));
}

#[test]
fn requests_of_pool_threads_overlap() {
    let code = r#"
import requests, time
from concurrent.futures import ThreadPoolExecutor
start = time.monotonic()
with ThreadPoolExecutor(10) as pool:
    found = list(pool.map(lambda n: requests.get("ORIGIN/slow?ms=500").text, range(10)))
return [found, time.monotonic() - start]"#;
    let found = result(code);
    assert_eq!(found[0], json!(vec!["slept"; 10]));
    let took = found[1].as_f64().unwrap();
    // One after another they take five seconds.
    assert!((0.5..3.0).contains(&took), "{took}");
}

#[test]
fn proxies_of_the_environment_are_ignored() {
    let code = r#"
import httpx, os, requests, urllib.request
os.environ |= dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
found = [requests.get("ORIGIN/bytes").ok, httpx.get("ORIGIN/bytes").is_success,
    urllib.request.urlopen("ORIGIN/bytes").status]
try:
    requests.get("ORIGIN/bytes", proxies={"http": "http://127.0.0.1:1"})
except requests.ConnectionError as error:
    found.append("without proxies" in str(error))
return found"#;
    assert_eq!(result(code), json!([true, true, 200, true]));
}

#[test]
fn a_slow_answer_is_a_timeout_in_each_library() {
    let code = r#"
import httpx, requests, urllib.request
found = []
for attempt in (
    lambda: requests.get("ORIGIN/slow?ms=20000", timeout=(30, 0.1)),
    lambda: httpx.get("ORIGIN/slow?ms=20000", timeout=0.1),
    lambda: urllib.request.urlopen("ORIGIN/slow?ms=20000", timeout=0.1),
):
    try:
        attempt()
    except (requests.ReadTimeout, httpx.ReadTimeout, TimeoutError) as error:
        found.append(type(error).__name__)
return found"#;
    let start = Instant::now();
    assert_eq!(result(code), json!(["ReadTimeout", "ReadTimeout", "TimeoutError"]));
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_program_of_the_library_reaches_named_hosts() {
    let network = Network::with_limits(
        [server().to_string().parse().unwrap()],
        NetworkLimits::default().requests(2).response_body(3),
    );
    let code = "import httpx, requests\n\
        found = [list(requests.get(f'{input}/bytes').content)]\n\
        for path in ('echo', 'bytes'):\n\
        \x20   try: found.append(httpx.get(f'{input}/{path}'))\n\
        \x20   except httpx.TransportError as error: found.append(str(error))\n\
        return found";
    let program = Program::new(code).input(format!("http://{}", server())).unwrap();
    let outcome = sandbox().run(program, network.offer(HostFunctions::new())).await;
    assert_eq!(
        returned(&outcome),
        json!([
            [0, 255, 10],
            "the body of the response is larger than 3 B",
            "too many requests: the limit is 2"
        ])
    );
}

/// Runs code of n8n under its allow lists, with a host that makes requests.
async fn run_under(
    stdlib: &[&str],
    external: &[&str],
    code: &str,
) -> serpentarium::sandbox::Outcome {
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    let code = code.replace("ORIGIN", &format!("http://{}", server()));
    let items = RawValue::from_string("[]".into()).unwrap();
    let mut settings = TaskSettings::new(code, NodeMode::AllItems, items);
    let lists = (names(stdlib), names(external));
    let policy = Policy { stdlib_allow: lists.0, external_allow: lists.1, ..Policy::default() };
    settings.serpentarium = Some(HostSettings { policy: Some(policy), ..HostSettings::default() });
    let job = Job::new(settings.to_input().unwrap(), Limits::default());
    let network = Network::new([server().to_string().parse().unwrap()]);
    sandbox().run(job, network.offer(HostFunctions::new())).await
}

#[tokio::test]
async fn the_lists_of_n8n_name_the_library_alone() {
    let requests = "import requests\nreturn len(requests.get('ORIGIN/bytes').content)";
    assert_eq!(returned(&run_under(&[], &["requests"], requests).await), json!(3));
    let httpx = "import httpx\nreturn len(httpx.get('ORIGIN/bytes').content)";
    assert_eq!(returned(&run_under(&[], &["httpx"], httpx).await), json!(3));
    let urllib = "import urllib.request\nreturn len(urllib.request.urlopen('ORIGIN/bytes').read())";
    assert_eq!(returned(&run_under(&["urllib"], &[], urllib).await), json!(3));
    for (stdlib, external, code) in [
        (&["urllib"][..], &["httpx"][..], requests),
        (&["ssl"], &["requests"], httpx),
        (&["ssl"], &["requests"], urllib),
        (&[], &["requests"], "import ssl"),
        (&[], &["requests"], "import urllib3"),
        (&["*"], &["requests"], "import _serpentarium.http.transport"),
    ] {
        let outcome = run_under(stdlib, external, code).await;
        assert!(raised(&outcome).message.contains("violation"), "{code}");
    }
}

#[tokio::test]
async fn libraries_do_not_lead_to_other_modules() {
    for code in [
        "import requests\nreturn requests.sessions.os.environ",
        "import requests\nreturn requests.adapters.socket",
        "import requests\nreturn requests.packages.urllib3.connection.socket",
        "import requests\nreturn requests.compat.json.decoder.scanner.re",
        "import requests\nreturn requests.utils.sys.modules['os']",
    ] {
        let outcome = run_under(&[], &["requests"], code).await;
        assert!(!raised(&outcome).message.is_empty(), "{code}");
    }
}

/// A stand-in for n8n: it answers `helpers.httpRequest` alone.
#[derive(Default)]
struct N8n {
    asked: Mutex<Vec<Value>>,
}

impl HostCalls for N8n {
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer {
        let answer: Answer = if name == "helpers.httpRequest" {
            self.asked.lock().unwrap().push(serde_json::from_str(params.get()).unwrap());
            let answer = r#"{"body":{"type":"Buffer","data":[0,255]},"headers":{"x-a":"1"},"statusCode":302,"statusMessage":"Found"}"#;
            Ok(RawValue::from_string(answer.into()).unwrap())
        } else {
            Err(METHOD_NOT_ALLOWED.into())
        };
        Box::pin(std::future::ready(answer))
    }
}

#[tokio::test]
async fn in_tasks_of_n8n_its_helper_makes_the_request() {
    let code = "import requests\n\
        r = requests.get('https://api.example.com/x', allow_redirects=False, verify=False)\n\
        return {'status': r.status_code, 'reason': r.reason, 'a': r.headers['X-A'], 'body': list(r.content)}";
    let items = RawValue::from_string("[]".into()).unwrap();
    let settings = TaskSettings::new(code, NodeMode::AllItems, items);
    let job = Job::new(settings.to_input().unwrap(), Limits::default());
    let n8n = Arc::new(N8n::default());
    let outcome = sandbox().run(job, n8n.clone()).await;
    assert_eq!(
        returned(&outcome),
        json!({"status": 302, "reason": "Found", "a": "1", "body": [0, 255]})
    );
    let asked = n8n.asked.lock().unwrap();
    let options = &asked[0][0];
    for (key, value) in [
        ("url", json!("https://api.example.com/x")),
        ("disableFollowRedirect", json!(true)),
        ("ignoreHttpStatusErrors", json!(true)),
        ("returnFullResponse", json!(true)),
        ("skipSslCertificateValidation", json!(true)),
        ("encoding", json!("arraybuffer")),
    ] {
        assert_eq!(options[key], value, "{options}");
    }
}
