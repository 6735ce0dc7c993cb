//! A separate process for a test that measures its process. In the shared process, other tests map
//! memory and start threads at the same time.

use std::process::Command;

/// Environment variable of the process that runs one test alone.
const ALONE: &str = "SERPENTARIUM_TEST_ALONE";

/// Runs the body of the test `path` (`module_path!()` and its name) in a new process of this
/// binary. Panics if the test fails there.
pub(crate) fn run(path: &str, body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    // libtest names omit the crate.
    let (_, name) = path.split_once("::").expect("a test is in a module");
    let output = Command::new(std::env::current_exe().expect("this binary has a path"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .expect("this binary starts again");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // libtest also succeeds if no test has this name.
    let ran = stdout.contains("test result: ok. 1 passed");
    assert!(output.status.success() && ran, "{}\n{stdout}\n{stderr}", output.status);
    eprint!("{stderr}");
}
