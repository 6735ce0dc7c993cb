//! HTTP requests, alone and concurrent.

use std::time::{Duration, Instant};

use serde_json::json;

use super::run;
use crate::support::raised;

#[tokio::test]
async fn a_request_has_n8ns_options() {
    let ran = run(
        "return _helpers.http_request('http://x/', params={'a': 1}, json={'b': [2]}, timeout=1.5)",
    )
    .await;
    assert_eq!(ran.value(), json!({ "method": "POST", "qs": { "a": 1 }, "body": { "b": [2] } }));
    let options = json!({
        "url": "http://x/", "method": "POST", "headers": {}, "qs": { "a": 1 }, "body": { "b": [2] }, "json": true, "timeout": 1500,
        "returnFullResponse": true, "ignoreHttpStatusErrors": true,
    });
    assert_eq!(ran.n8n.asked("helpers.httpRequest"), [json!([options])]);
}

#[tokio::test]
async fn bytes_come_back_as_bytes() {
    let ran = run("return list(_helpers.http_request('http://x/', binary=True))").await;
    assert_eq!(ran.value(), json!([0, 255, 10]));
}

#[tokio::test]
async fn an_uncaught_http_error_names_the_line_and_the_answer() {
    let ran = run("url = 'http://x/missing'\n_helpers.http_request(url)").await;
    let exception = raised(&ran.outcome);
    assert_eq!(exception.message, "Request failed with status code 404");
    assert_eq!(exception.line_number, Some(2));
    let description = exception.description.as_deref().unwrap();
    assert!(
        description
            .contains("\nHttpError: Request failed with status code 404\nThe answer: {'why': "),
        "{description}"
    );
    let ran = run("_helpers.assert_binary_data(0)").await;
    assert_eq!(raised(&ran.outcome).message, "no file");
}

#[tokio::test]
async fn a_hundred_requests_take_about_as_long_as_the_slowest() {
    let code = "
import asyncio
async def fetch(n):
    return await _helpers.http_request_async(f'http://x/pages/{n}', params={'wait': 100 + n})
return await asyncio.gather(*[fetch(n) for n in range(100)])";
    // The first run in a process also maps the image.
    run("return 1").await;
    let started = Instant::now();
    let ran = run(code).await;
    let took = started.elapsed();
    assert_eq!(ran.value()[99], json!({ "url": "http://x/pages/99" }));
    assert!(took >= Duration::from_millis(199) && took < Duration::from_millis(600), "{took:?}");
}

#[tokio::test]
async fn excess_and_cancelled_requests_do_not_end_the_task() {
    let code = "
import asyncio
fetch = _helpers.http_request_async
pages = await asyncio.gather(*[fetch(f'http://x/pages/{n}') for n in range(1500)])
late = 0
for _ in range(4):
    calls = [asyncio.wait_for(fetch('http://x/pages/1', params={'wait': 60000}), 0.05) for n in range(400)]
    late += sum(isinstance(e, TimeoutError) for e in await asyncio.gather(*calls, return_exceptions=True))
return [pages[1499]['url'], late, (await fetch('http://x/pages/2'))['url']]";
    assert_eq!(run(code).await.value(), json!(["http://x/pages/1499", 1600, "http://x/pages/2"]));
}

#[tokio::test]
async fn timers_and_requests_go_on_side_by_side() {
    let code = "
import asyncio, time
async def tick():
    for n in range(5): await asyncio.sleep(0.01)
    return time.monotonic()
async def fetch():
    await _helpers.http_request_async('http://x/pages/1', params={'wait': 200})
    return time.monotonic()
ticked, fetched = await asyncio.gather(tick(), fetch())
try:
    async with asyncio.timeout(0.01): await _helpers.http_request_async('http://x/pages/1', params={'wait': 10000})
except TimeoutError:
    return ticked < fetched";
    assert_eq!(run(code).await.value(), json!(true));
}
