//! The C conversion between bytes and n8n's JSON form of buffers: equal to Python's `json` module,
//! and fast enough for files of 10 MiB.

use std::sync::Arc;

use crate::support::{Echo, job, returned, sandbox};
use serpentarium::sandbox::Outcome;

async fn run(code: &str) -> Outcome {
    sandbox().run(job(code), Arc::new(Echo::default())).await
}

#[tokio::test]
async fn every_byte_goes_there_and_back() {
    let code = r#"
import _host, json, random
def plain(data): return json.dumps({"type": "Buffer", "data": list(data)}, separators=(",", ":"))
random.seed(1)
for data in [b"", b"\0", b"\xff", bytes(range(256)), *(random.randbytes(random.randrange(2000)) for _ in range(50))]:
    text = _host.buffer_to_json(data)
    assert text == plain(data) == _host.buffer_to_json(bytearray(data)) == _host.buffer_to_json(memoryview(data))
    assert _host.buffer_from_json(text, 0) == (data, len(text))
    spaced = "[" + json.dumps(json.loads(text), indent=2) + ", 7]"
    back, end = _host.buffer_from_json(spaced, 1)
    assert back == data and spaced[end:] == ", 7]"
return 'done'
"#;
    assert_eq!(returned(&run(code).await), "done");
}

#[tokio::test]
async fn text_that_is_no_buffer_is_a_value_error() {
    let code = r#"
import _host
good = '{"type":"Buffer","data":[1,22,255]}'
bad = [good[:cut] for cut in range(len(good))]
bad += [good.replace("22", byte) for byte in ("256", "-1", "1.5", "1e1", "01", "", "[]", "null", "2222", "\x00")]
bad += [good.replace("Buffer", "buffer"), good.replace('"data"', '"date"'), good.replace("]", ",]"), 'é' + good]
for text in bad:
    try: _host.buffer_from_json(text, 0)
    except ValueError: continue
    return text
for start in (-1, 1, len(good), len(good) + 1):
    try: _host.buffer_from_json(good, start)
    except ValueError: continue
    return start
for value in ('text', 1, None):
    try: _host.buffer_to_json(value)
    except TypeError: continue
    return value
return 'done'
"#;
    assert_eq!(returned(&run(code).await), "done");
}

#[tokio::test]
async fn ten_megabytes_go_to_the_host_and_back_under_default_limits() {
    let code = r#"
import _host, time
data = bytes(range(256)) * (10 << 12)
start = time.monotonic()
text = _host.buffer_to_json(data)
encoded = time.monotonic()
answer = _host.call("echo", text)
called = time.monotonic()
back, end = _host.buffer_from_json(answer, 0)
decoded = time.monotonic()
assert back == data and end == len(answer)
return [encoded - start, called - encoded, decoded - called]
"#;
    let outcome = run(code).await;
    let times = returned(&outcome);
    let ms = |at: usize| times[at].as_f64().unwrap() * 1e3;
    let memory = outcome.usage.memory >> 20;
    let fuel = outcome.usage.fuel;
    println!("10 MiB: to JSON {:.0} ms, call {:.0} ms, from JSON {:.0} ms", ms(0), ms(1), ms(2));
    println!("in all {} G units of fuel, {memory} MiB of memory", fuel as f64 / 1e9);
    // A core executes at least 10 G units of fuel a second, so this is at most 0.4 s.
    assert!(fuel < 4_000_000_000, "10 MiB there and back took {fuel} units");
}
