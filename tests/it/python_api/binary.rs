//! Binary data, from bytes to 10 MiB.

use serde_json::json;

use crate::support::{job_with, returned, sandbox};
use serpentarium::{
    protocol::NodeMode,
    sandbox::{NoHost, Program},
};

use super::{LARGE, Ran, run, run_job};

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

/// Runs code on three items: with two files of one name, without, and with a file that n8n cannot
/// give.
async fn run_with_files(code: &str) -> Ran {
    let items = json!([
        { "json": {}, "binary": { "data": { "fileName": "a.txt" }, "more": { "fileName": "a.txt" } } },
        { "json": {} },
        { "json": {}, "binary": { "broken": { "fileName": "b.txt" } } },
    ]);
    run_job(job_with(code, NodeMode::AllItems, &items.to_string())).await
}

#[tokio::test]
async fn files_of_an_item_appear_when_code_looks_for_one() {
    let code = "
import glob, os
none = [os.path.exists(f'/data/{name}') for name in ('1', '00', '3', '-1', 'x/a.txt', '0x')]
os.chdir('/')
return none, open('data/0/a.txt').read(), sorted(glob.glob('/data/0/**', recursive=True))";
    let ran = run_with_files(code).await;
    let found = json!([
        "/data/0/",
        "/data/0/a.txt",
        "/data/0/data",
        "/data/0/data/a.txt",
        "/data/0/more",
        "/data/0/more/a.txt"
    ]);
    assert_eq!(ran.value(), json!([vec![false; 6], "hello", found]));
    assert_eq!(
        ran.n8n.asked("helpers.getBinaryDataBuffer"),
        [json!([0, "data"]), json!([0, "more"])],
        "the files of one item, each once"
    );
}

#[tokio::test]
async fn files_that_nobody_looks_for_are_not_fetched() {
    let code = "
import os
os.makedirs('/tmp/data')
open('/tmp/data/0', 'w').close()
return [os.path.exists('/database'), os.listdir('/home'), len(_items)]";
    let ran = run_with_files(code).await;
    assert_eq!(ran.value(), json!([false, ["task"], 3]));
    assert!(ran.n8n.asked("helpers.getBinaryDataBuffer").is_empty());
}

#[tokio::test]
async fn a_file_that_n8n_cannot_give_is_an_error() {
    let code = "
import errno, os
try:
    raise KeyError('handled')
except KeyError:
    try:
        open('/data/2/b.txt')
    except OSError as error:
        return [errno.errorcode[error.errno], str(error.__context__), os.listdir('/data/0')]";
    let ran = run_with_files(code).await;
    assert_eq!(ran.value(), json!(["EIO", "'handled'", ["data", "a.txt", "more"]]));
}

#[tokio::test]
async fn code_makes_its_own_directories_below_data() {
    let code = "
import os
os.makedirs('/data/mine/deep', exist_ok=True)
open('/data/mine/x', 'w').write('1')
return [os.path.exists('/data'), os.listdir('/data'), open('/data/mine/x').read()]";
    let ran = run_with_files(code).await;
    assert_eq!(ran.value(), json!([true, ["mine"], "1"]));
    assert!(ran.n8n.asked("helpers.getBinaryDataBuffer").is_empty());
}

#[tokio::test]
async fn a_program_has_no_files_of_items() {
    let program = Program::new("import os\nreturn os.path.exists('/data/0')").input(json!([{}]));
    let outcome = sandbox().run(program.expect("JSON"), NoHost).await;
    assert_eq!(returned(&outcome), false);
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
