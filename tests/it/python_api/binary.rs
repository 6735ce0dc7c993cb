//! Binary data, from bytes to 10 MiB.

use serde_json::json;

use super::{LARGE, run};

#[tokio::test]
async fn binary_data_goes_both_ways() {
    let ran = run("return [_helpers.get_binary_data().decode(), _helpers.prepare_binary_data(b'abc', 'a.txt')]").await;
    assert_eq!(
        ran.value(),
        json!(["hello", { "fileName": "a.txt", "mimeType": null, "fileSize": 3 }])
    );
    let sent = json!([{ "type": "Buffer", "data": [97, 98, 99] }, "a.txt", null]);
    assert_eq!(ran.n8n.asked("helpers.prepareBinaryData"), [sent]);
}

#[tokio::test]
async fn ten_megabytes_go_both_ways_within_the_default_limits() {
    let code = "
data = _helpers.get_binary_data(0, 'large')
expected = bytes(i % 251 for i in range(251)) * (len(data) // 251 + 1)
return [len(data), data == expected[:len(data)], _helpers.prepare_binary_data(data)['fileSize']]";
    let ran = run(code).await;
    assert_eq!(ran.value(), json!([LARGE, true, LARGE]));
    println!("10 MB in and out: {:?}", ran.outcome.usage);
}
