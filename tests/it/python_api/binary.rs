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

#[tokio::test]
async fn binary_data_of_items_becomes_files() {
    let code = "
import os
hostile = {'mimeType': 'x', 'fileName': '../../etc/a\\nb', 'id': '7'}
paths = [_helpers.binary_path(), _helpers.binary_path(0, 'x/../y'),
         await _helpers.binary_path_async(hostile)]
return paths, [open(path).read() for path in paths]";
    let ran = run(code).await;
    let paths = ["/data/0/data/file", "/data/0/y/file", "/data/other/ab"];
    assert_eq!(ran.value(), json!([paths, ["hello", "hello", "hello"]]));
}

#[tokio::test]
async fn files_that_code_writes_become_binary_data() {
    let code = "
from pathlib import Path
file = open('/tmp/a.txt', 'w')
file.write('abc')
return [_helpers.save_binary('/tmp/a.txt')['fileSize'],
        _helpers.prepare_binary_data(Path('/tmp/a.txt'), 'b.txt')['fileSize']]";
    let ran = run(code).await;
    assert_eq!(ran.value(), json!([3, 3]));
    let bytes = json!({ "type": "Buffer", "data": [97, 98, 99] });
    let sent = [json!([bytes, "a.txt", null]), json!([bytes, "b.txt", null])];
    assert_eq!(ran.n8n.asked("helpers.prepareBinaryData"), sent);
}

#[tokio::test]
async fn devices_and_missing_files_are_no_binary_data() {
    for (path, message) in [
        ("/dev/zero", "'/dev/zero' is no regular file"),
        ("/tmp", "'/tmp' is no regular file"),
        ("/none", "[Errno 44] No such file or directory: '/none'"),
    ] {
        let code =
            format!("try: _helpers.save_binary('{path}')\nexcept OSError as e: return str(e)");
        assert_eq!(run(&code).await.value(), message);
    }
}
