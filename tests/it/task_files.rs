//! Files that a task gets, and files that it hands back.

use std::sync::Arc;

use serde_json::{Value, json};
use serpentarium::{
    protocol::{HostSettings, NodeMode, TaskSettings},
    sandbox::{Exceeded, Failure, Job, Limits, NoHost, Outcome, Program, TaskFiles},
    workers::{Pool, PoolConfig},
};

use crate::support::{exceeded, raised, returned, sandbox};

async fn run(program: Program) -> Outcome {
    sandbox().run(program, NoHost).await
}

/// Returns the files that a task handed back, by path.
fn files(outcome: &Outcome) -> Vec<(&str, &[u8])> {
    let completed = outcome.result.as_ref().unwrap_or_else(|failure| panic!("{failure:?}"));
    completed.files.iter().map(|file| (file.path.as_str(), &*file.bytes)).collect()
}

/// Returns a program that hands back what is below `/out`.
fn handing_back(code: &str) -> Program {
    Program::new(code).out("/out").unwrap()
}

#[tokio::test]
async fn files_go_in_and_come_back() {
    let all: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let code = "
import os, shutil
data = open('/data/all', 'rb').read()
open('/out/reversed', 'wb').write(data[::-1])
shutil.copytree('/data', '/out/deep/copy')
return [os.getcwd(), open('here.txt').read(), len(data), os.stat('/data/none').st_size,
        sorted(os.listdir('/data'))]";
    let program = handing_back(code)
        .file("here.txt", "né")
        .unwrap()
        .file("/data/all", all.clone())
        .unwrap()
        .file("/data/none", "")
        .unwrap();
    let outcome = run(program).await;
    let expected = json!(["/home/task", "né", all.len(), 0, ["all", "none"]]);
    assert_eq!(returned(&outcome), expected);
    let reversed: Vec<u8> = all.iter().rev().copied().collect();
    let expected: [(&str, &[u8]); 3] =
        [("/out/deep/copy/all", &all), ("/out/deep/copy/none", b""), ("/out/reversed", &reversed)];
    assert!(files(&outcome) == expected, "{:?}", outcome.result);
}

#[tokio::test]
async fn only_regular_files_below_the_directories_come_back() {
    let code = "
import os
os.mkdir('/out/empty')
os.symlink('/home/task/secret', '/out/link')
os.symlink('/', '/out/root')
for name in ['secret', '/outside', '/tmp/t', '/out/.hidden', '/out/\"quoted\"', '/out/ä b']:
    open(name, 'w').write(name)
os.rmdir('/gone')";
    let program = handing_back(code).out("/tmp").unwrap().out("/gone").unwrap();
    let outcome = run(program).await;
    let names: Vec<_> = files(&outcome).iter().map(|file| file.0.to_owned()).collect();
    assert_eq!(names, ["/out/\"quoted\"", "/out/.hidden", "/out/ä b", "/tmp/t"]);
}

#[tokio::test]
async fn files_that_the_code_left_open_are_complete() {
    let outcome = run(handing_back("a = open('/out/a', 'w')\na.write('end')")).await;
    assert_eq!(files(&outcome), [("/out/a", &b"end"[..])]);
}

#[tokio::test]
async fn a_failed_task_hands_nothing_back() {
    let outcome = run(handing_back("open('/out/a', 'w')\nraise ValueError('no')")).await;
    assert_eq!(raised(&outcome).message, "no");
}

#[tokio::test]
async fn a_file_that_cannot_be_made_fails_the_task() {
    let outcome = run(Program::new("return 1").file("/tmp", "x").unwrap()).await;
    assert_eq!(raised(&outcome).message, "The file /tmp cannot be made: Is a directory");
}

#[tokio::test]
async fn a_name_that_cannot_leave_is_an_error_of_the_code() {
    let outcome = run(handing_back("open('/out/a\\nb', 'w').close()")).await;
    let message = &raised(&outcome).message;
    assert!(message.starts_with(r"The file '/out/a\nb' cannot be handed back"), "{message}");
}

#[tokio::test]
async fn a_task_of_n8n_has_files_too() {
    let files_of = TaskFiles::default().file("/data/a", "1").unwrap().out("/out").unwrap();
    let items = serde_json::value::RawValue::from_string("[{},{}]".into()).unwrap();
    let code = "n = _item_index\nopen(f'/out/{n}', 'w').write(open('/data/a').read() * n)\n\
                return {'n': n}";
    let mut settings = TaskSettings::new(code, NodeMode::EachItem, items);
    settings.serpentarium =
        Some(HostSettings { files: Some(files_of.clone()), ..HostSettings::default() });
    let job = Job::new(settings.to_input().unwrap(), Limits::default());
    let outcome = sandbox().run(job.clone().out(files_of.directories()), NoHost).await;
    assert_eq!(files(&outcome), [("/out/0", &b""[..]), ("/out/1", b"1")]);
    // The job does not accept what its settings ask for.
    assert!(matches!(sandbox().run(job, NoHost).await.result, Err(Failure::Broken(_))));
}

#[tokio::test]
async fn files_pass_through_worker_processes() {
    let program = env!("CARGO_BIN_EXE_serpentarium").into();
    let pool = Pool::start(&PoolConfig { workers: 1, program, ..PoolConfig::default() }).unwrap();
    let job = handing_back("open('/out/b', 'w').write(open('a').read() * 2)");
    let outcome = pool.run(job.file("a", "12").unwrap().into(), Arc::new(NoHost)).await;
    assert_eq!(files(&outcome), [("/out/b", &b"1212"[..])]);
}

/// Writes files of these sizes.
fn of_sizes(sizes: &[u64], limits: Limits) -> Program {
    let code = "for n, size in enumerate(input):\n    open(f'/out/{n}', 'wb').write(b'x' * size)";
    handing_back(code).input(sizes).unwrap().limits(limits)
}

#[tokio::test]
async fn the_number_of_files_that_come_back_obeyed() {
    let outcome = run(of_sizes(&[1; 3], Limits::default().out_files(3))).await;
    assert_eq!(files(&outcome).len(), 3);
}

#[tokio::test]
async fn the_number_of_files_that_come_back_violated() {
    let outcome = run(of_sizes(&[1; 4], Limits::default().out_files(3))).await;
    assert_eq!(exceeded(&outcome), Exceeded::OutFiles(3));
}

#[tokio::test]
async fn bytes_of_files_that_come_back_obeyed() {
    let outcome = run(of_sizes(&[1000, 24], Limits::default().out_bytes(1024))).await;
    assert_eq!(files(&outcome).len(), 2);
}

#[tokio::test]
async fn bytes_of_files_that_come_back_violated() {
    let outcome = run(of_sizes(&[1000, 25], Limits::default().out_bytes(1024))).await;
    assert_eq!(exceeded(&outcome), Exceeded::OutBytes(1024));
}

#[tokio::test]
async fn files_count_against_the_output() {
    let outcome = run(of_sizes(&[90_000], Limits::default().output(100_000))).await;
    assert_eq!(exceeded(&outcome), Exceeded::Output(100_000));
}

#[tokio::test]
async fn files_count_against_the_input_and_the_memory() {
    let program = |limits| Program::new("").file("a", vec![0; 40 << 20]).unwrap().limits(limits);
    let outcome = run(program(Limits::default().input(50 << 20))).await;
    assert_eq!(exceeded(&outcome), Exceeded::Input(50 << 20));
    let outcome = run(program(Limits::default().memory(80 << 20))).await;
    assert_eq!(raised(&outcome).limit, Some(Exceeded::Memory(80 << 20)));
    run(program(Limits::default().memory(200 << 20))).await.result.unwrap();
}

/// Returns how a task ends whose reply has these files.
async fn forged(list: &Value, limits: Limits) -> Result<usize, Failure> {
    let code = "
import _host, json
from _serpentarium.core import wire
def send(reply):
    _host.write_output(json.dumps({'result': 1, 'files': input}))
wire.send = send";
    let program = handing_back(code).input(list).unwrap().limits(limits);
    run(program).await.result.map(|completed| completed.files.len())
}

#[tokio::test]
async fn a_forged_list_of_files_is_not_passed_on() {
    let file = |path: &str| json!({"path": path, "data": "YQ=="});
    let fine = json!([file("/out/a"), file("/out/A"), file("/out/b/c")]);
    assert_eq!(forged(&fine, Limits::default()).await.unwrap(), 3, "the forgery works");
    for list in [
        json!([file("/etc/passwd")]),
        json!([file("/out/../etc/passwd")]),
        json!([file("/out/..")]),
        json!([file("out/a")]),
        json!([file("/out")]),
        json!([file("/out//a")]),
        json!([file("/out/a\u{0}")]),
        json!([file("/out/a\nb")]),
        json!([file(&format!("/out/{}", "a".repeat(256)))]),
        json!([file("/out/a"), file("/out/a")]),
        json!([file("/out/a/b"), file("/out/a")]),
        json!([{"path": "/out/a", "data": "YQ"}]),
        json!([{"path": "/out/a", "data": "Y!=="}]),
        json!([{"path": "/out/a", "data": null}]),
        json!([{"path": "/out/a", "data": "", "size": 5}]),
        json!({"/out/a": ""}),
        json!(null),
    ] {
        let failure = forged(&list, Limits::default()).await;
        let is_null = list.is_null();
        assert!(matches!(failure, Err(Failure::Broken(_))) || is_null, "{list}: {failure:?}");
    }
}

#[tokio::test]
async fn a_forged_number_of_files_is_not_passed_on() {
    let many: Vec<_> =
        (0..5).map(|n| json!({"path": format!("/out/{n}"), "data": "YWJj"})).collect();
    let limits = || Limits::default().out_files(4);
    let failure = forged(&json!(many), limits()).await.unwrap_err();
    assert!(matches!(failure, Failure::Exceeded(Exceeded::OutFiles(4))), "{failure:?}");
    let failure = forged(&json!(many), Limits::default().out_bytes(14)).await.unwrap_err();
    assert!(matches!(failure, Failure::Exceeded(Exceeded::OutBytes(14))), "{failure:?}");
}

#[tokio::test]
async fn a_task_without_files_consumes_the_same_fuel() {
    let fuel = async |program: Program| run(program.seed(1)).await.usage.fuel;
    let plain = fuel(Program::new("return 1").timezone("UTC")).await;
    let with_empty = fuel(Program::new("return 1").out("/out").unwrap()).await;
    assert!(with_empty.abs_diff(plain) < 200_000, "{plain} {with_empty}");
}

#[tokio::test]
async fn a_module_given_to_the_library_is_imported_and_read_only() {
    let site = "/usr/lib/python3.13/site-packages/mine.py";
    let code = "
import mine
try:
    open(mine.__file__, 'a')
except OSError as error:
    return [mine.NAME, error.strerror]";
    let program = Program::new(code).file(site, "NAME = __name__").unwrap();
    assert_eq!(returned(&run(program).await), json!(["mine", "Read-only file system"]));
}

/// Writes 1,000 bytes beside a file that came with the task, in two files, and tries one more.
const FILLS: &str = "
import errno, os
open('a', 'wb').write(b'a' * 600)
open('b', 'wb').write(b'b' * 400)
try:
    os.truncate('b', 401)
except OSError as error:
    full = errno.errorcode[error.errno]
else:
    full = None
os.remove('a')
open('c', 'w').write('c' * 600)
return [full, os.stat('b').st_size, os.stat('c').st_size]";

fn with_file_bytes(code: &str, bytes: u64) -> Program {
    let limits = Limits::default().file_bytes(bytes);
    Program::new(code).file("given", vec![0; 5_000]).unwrap().limits(limits)
}

#[tokio::test]
async fn file_bytes_obeyed() {
    let outcome = run(with_file_bytes(FILLS, 1_001)).await;
    assert_eq!(returned(&outcome), json!([null, 401, 600]));
}

#[tokio::test]
async fn file_bytes_violated() {
    let outcome = run(with_file_bytes(FILLS, 1_000)).await;
    assert_eq!(returned(&outcome), json!(["ENOSPC", 400, 600]));
    let raising = "open('large', 'wb', 0).write(b'x' * 1_001)";
    let outcome = run(with_file_bytes(raising, 1_000)).await;
    let message = raised(&outcome).message.clone();
    assert_eq!(message, "[Errno 51] No space left on device");
    // Code that calls `_host` itself can only lower the limit.
    let lifting = "
import _host
_host.limit_files(1 << 40)
try:
    open('large', 'wb', 0).write(b'x' * 1_001)
except OSError as error:
    return error.strerror";
    let outcome = run(with_file_bytes(lifting, 1_000)).await;
    assert_eq!(returned(&outcome), "No space left on device");
}
