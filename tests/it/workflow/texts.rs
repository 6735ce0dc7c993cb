//! Bodies that are packed, encoded, marked, empty, or JSON with an order.

use std::{collections::HashMap, io::Write};

use axum::{
    body::Bytes,
    extract::{Path, Query},
    http::{HeaderMap, StatusCode, header::CONTENT_ENCODING},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder, write::ZlibEncoder};
use serde_json::{Value, json};

use super::Setup;

const JSON: &str = r#"{"zebra":1,"ant":{"y":[1.50],"b":2},"10":18446744073709551616}"#;

/// Serves a body by its name.
pub(super) async fn serve(
    Path(name): Path<String>,
    Query(_): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(JSON.as_bytes()).unwrap();
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(JSON.as_bytes()).unwrap();
    let packed = |name: &'static str, body: Vec<u8>| ([(CONTENT_ENCODING, name)], body);
    let typed = |kind: &'static str, body: &'static [u8]| ([("content-type", kind)], body);
    match name.as_str() {
        "gzip" => packed("gzip", gzip.finish().unwrap()).into_response(),
        "deflate" => packed("deflate", deflate.finish().unwrap()).into_response(),
        "br" => packed("br", b"\x0b\x02\x80hello\x03".to_vec()).into_response(),
        "broken" => packed("gzip", b"no gzip".to_vec()).into_response(),
        "unknown" => packed("zstd", b"left".to_vec()).into_response(),
        "latin" => typed("text/plain; charset=iso-8859-1", b"Gr\xfc\xdfe").into_response(),
        "bom" => typed("application/json", b"\xef\xbb\xbf{\"b\":1}").into_response(),
        "empty" => StatusCode::NO_CONTENT.into_response(),
        "cookies" => {
            let mut answer = "".into_response();
            for (name, value) in [("set-cookie", "a=1"), ("vary", "a"), ("vary", "b"), ("a-z", "1")]
            {
                answer.headers_mut().append(name, value.parse().unwrap());
            }
            answer
        }
        "accepted" => headers["accept-encoding"].to_str().unwrap().to_owned().into_response(),
        "echo" => body.into_response(),
        _ => JSON.into_response(),
    }
}

#[tokio::test]
async fn packed_bodies_are_unpacked() {
    let setup = Setup::start().await;
    let code = "
answers = [http('/texts/' + name) for name in ('gzip', 'deflate', 'br', 'unknown', 'accepted')]
r = http('/texts/gzip', returnFullResponse=True)
head = http('/texts/gzip', method='HEAD', returnFullResponse=True)
return *answers, r['headers'].get('content-encoding'), head['body'], head['statusCode'], http('/texts/broken')";
    let answers = setup.value(code, json!({})).await;
    let json: Value = serde_json::from_str(JSON).unwrap();
    assert_eq!((&answers[0], &answers[1]), (&json, &json));
    assert_eq!((&answers[2], &answers[3]), (&json!("hello"), &json!("left")));
    assert_eq!(answers[4], "gzip, deflate, br");
    assert_eq!((&answers[5], &answers[6], &answers[7]), (&Value::Null, &json!(""), &json!(200)));
    let failed = answers[8]["failed"]["message"].as_str().unwrap();
    assert!(failed.starts_with("the body is not valid gzip: "), "{failed}");
}

#[tokio::test]
async fn texts_are_decoded_and_empty_answers_are_empty() {
    let setup = Setup::start().await;
    let code = "
empty = http('/texts/empty', returnFullResponse=True)
return http('/texts/latin'), http('/texts/bom'), empty['body'], empty['statusCode']";
    let answers = setup.value(code, json!({})).await;
    assert_eq!(answers, json!(["Grüße", { "b": 1 }, "", 204]));
}

#[tokio::test]
async fn json_keeps_its_order_both_ways() {
    let setup = Setup::start().await;
    let data = json!({ "workflow": { "z": 1, "a": 2 }, "zone": 1 });
    let code = "
sent = {'z': 1, 'a': {'y': 2, 'b': 3}}
echo = http('/texts/echo', method='POST', body=sent, encoding='text')
pairs = http('/echo', qs={'z': 1, 'a': 2})['query']
request = {'dataOfNodes': [], 'prevNode': False, 'env': False, 'input': {'include': False}}
workflow = call('taskData', request)['workflow']
return json.dumps(http('/texts/json')), echo, pairs, list(workflow)";
    let answers = setup.value(code, json!({ "data": data })).await;
    let spaced = r#"{"zebra": 1, "ant": {"y": [1.5], "b": 2}, "10": 18446744073709551616}"#;
    let echo = r#"{"z":1,"a":{"y":2,"b":3}}"#;
    assert_eq!(answers, json!([spaced, echo, "z=1&a=2", ["z", "a"]]));
}

#[tokio::test]
async fn headers_have_nodes_form() {
    let setup = Setup::start().await;
    let code = "
headers = http('/texts/cookies', returnFullResponse=True)['headers']
return headers['set-cookie'], headers['vary'], list(headers)[:3]";
    let answers = setup.value(code, json!({})).await;
    assert_eq!(answers[0], json!(["a=1"]));
    assert_eq!(answers[1], "a, b");
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let setup = Setup::start().await;
    let code =
        "return call('helpers.httpRequest', {'url': 'http://u:secret@no.invalid/a?key=secret'})";
    let answer = setup.value(code, json!({})).await;
    let message = answer["failed"]["message"].as_str().unwrap();
    assert!(message.contains(": http://no.invalid/a: "), "{message}");
    assert!(!message.contains("secret"), "{message}");
}

#[tokio::test]
async fn a_file_is_read_by_its_value_too() {
    let setup = Setup::start().await;
    let items = json!([{ "json": {}, "binary": { "a": { "mimeType": "a/b", "data": "aGk=" } } }]);
    let code = "
made = call('helpers.prepareBinaryData', {'type': 'Buffer', 'data': [1]}, 'a.bin')
stored = {'mimeType': 'a/b', 'data': 'filesystem-v2', 'id': 'filesystem-v2:1'}
read = lambda file: call('helpers.getBinaryDataBuffer', 0, file)
return read('a')['data'], read(made)['data'], read(stored)['failed']['message'], call('helpers.assertBinaryData', 0, stored)";
    let answers = setup.value(code, json!({ "items": items })).await;
    assert_eq!((&answers[0], &answers[1]), (&json!([104, 105]), &json!([1])));
    let message = answers[2].as_str().unwrap();
    assert!(message.contains("does not store the file filesystem-v2:1"), "{message}");
    assert_eq!(answers[3]["data"], "filesystem-v2");
}
