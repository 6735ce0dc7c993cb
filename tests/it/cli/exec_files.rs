//! `exec --file` and `--out`: files of the machine that a task gets, and those that it leaves.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{Output, Value, exec, json, serpentarium, text};

/// Returns the path of a directory of the test, as text.
fn shown(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Returns a new directory with these files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(path, content).expect("a file");
    }
    directory
}

/// Runs code that must return. Returns its result.
fn result(code: &str, arguments: &[&str]) -> Value {
    let out = exec(code, &[arguments, &["--json"]].concat());
    let report: Value = serde_json::from_slice(&out.stdout).expect("a report");
    assert_eq!(report["status"], "returned", "{report}");
    report["result"].clone()
}

/// Returns the files below a directory, with their contents, in order.
fn tree(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let here = root.join(&path);
        if here.is_dir() {
            let names = fs::read_dir(&here).expect("a directory");
            waiting.extend(names.map(|entry| path.join(entry.expect("an entry").file_name())));
        } else {
            found.push((shown(&path).into(), fs::read_to_string(here).expect("a text")));
        }
    }
    found.sort();
    found
}

fn entries(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, content)| ((*name).into(), (*content).into())).collect()
}

/// Asserts that a run failed with one line, which ends so.
fn assert_fails(out: &Output, code: i32, end: &str) {
    let stderr = text(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{stderr}");
    assert!(stderr.lines().count() == 1 && stderr.trim_end().ends_with(end), "{stderr} ≠ {end}");
}

const LIST: &str = "
import os
return sorted([os.path.join(at, name), open(os.path.join(at, name)).read()]
              for root in ('.', '/data') for at, _, names in os.walk(root) for name in names)";

#[test]
fn a_file_is_in_the_working_directory_or_at_its_path() {
    let here = directory(&[("a.csv", "x"), ("b:c", "y")]);
    let (a, b) = (here.path().join("a.csv"), here.path().join("b:c"));
    let placed = format!("{}:/data/deep/b", shown(&b));
    let given = result(LIST, &["--file", shown(&a), "--file", &placed, "--file", shown(&b)]);
    assert_eq!(given, json!([["./a.csv", "x"], ["./b:c", "y"], ["/data/deep/b", "y"]]));
}

#[test]
fn a_directory_comes_with_all_its_files() {
    let here = directory(&[("d/1", "a"), ("d/e/2", "b"), ("d/e/.3", "c"), ("4", "d")]);
    let d = here.path().join("d");
    symlink("../4", d.join("link")).unwrap();
    symlink("..", d.join("e/up")).unwrap();
    assert_eq!(
        result(LIST, &["--file", shown(&d)]),
        json!([["./d/1", "a"], ["./d/e/.3", "c"], ["./d/e/2", "b"]])
    );
    let placed = format!("{}/:/data", shown(&d));
    let out = exec(LIST, &["--file", &placed, "--json"]);
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        report["result"],
        json!([["/data/1", "a"], ["/data/e/.3", "c"], ["/data/e/2", "b"]])
    );
    let left_out =
        format!("left out {0}/e/up: it is a link\nleft out {0}/link: it is a link\n", shown(&d));
    assert_eq!(text(&out.stderr).replace("//", "/"), left_out);
}

#[test]
fn standard_input_can_be_a_file() {
    let code = directory(&[("code.py", "return open('/data/in').read()")]);
    let path = code.path().join("code.py");
    let arguments = ["exec", shown(&path), "--file", "-:/data/in"];
    let out = serpentarium(&arguments, &[], "piped");
    assert_eq!(text(&out.stdout), "\"piped\"\n");
    let out = exec("return 1", &["--file", "-:/data/in"]);
    assert_fails(&out, 2, "only one of code, items and files can come from standard input");
}

#[test]
fn a_module_that_is_given_can_be_imported() {
    let here = directory(&[("helper.py", "def double(n): return 2 * n")]);
    let helper = here.path().join("helper.py");
    assert_eq!(result("import helper\nreturn helper.double(4)", &["--file", shown(&helper)]), 8);
}

#[test]
fn a_profile_has_files_too() {
    let here = directory(&[("a", "x")]);
    let a = format!("{}:/data/a", shown(&here.path().join("a")));
    let code = "return open('/data/a').read() + 'y'";
    let out = serpentarium(&["profile", "-", "--file", &a, "--json"], &[], code);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let out = serpentarium(&["profile", "-", "--file", "-:/data/a"], &[], code);
    assert_fails(&out, 2, "only one of code, items and files can come from standard input");
}

#[test]
fn bad_files_are_one_line() {
    let here = directory(&[("a", "x"), ("d/a", "y")]);
    let path = |name: &str| format!("{}/{name}", shown(here.path()));
    let (a, d, none) = (path("a"), path("d"), path("none"));
    let fails = |files: &[&str], code, end: &str| {
        let arguments: Vec<_> = files.iter().flat_map(|file| ["--file", file]).collect();
        assert_fails(&exec("", &arguments), code, end);
    };
    fails(&[&none], 1, &format!("cannot read {none}: No such file or directory (os error 2)"));
    fails(
        &[&format!("{a}:x")],
        1,
        &format!(
            "cannot read {a}:x (a path in the task begins with /): No such file or directory (os error 2)"
        ),
    );
    fails(&[&a, &a], 1, &format!("--file {a}: /home/task/a is there twice"));
    fails(&[&a, &format!("{d}/a:/home/task/a/b")], 1, "/home/task/a/b lies below /home/task/a");
    fails(&["-"], 2, "standard input needs a path in the task: -:/data/name");
    fails(&[&format!("{a}:/x/../y")], 2, "a name in a path is not empty, `.` or `..`");
    fails(&[&format!("{a}:/dev/null")], 2, "/dev is for devices");
}

#[test]
fn bytes_of_files_obeyed() {
    let here = directory(&[]);
    let large = here.path().join("large");
    fs::File::create(&large).unwrap().set_len(50 << 20).unwrap();
    let code = "import os\nreturn os.stat('large').st_size";
    assert_eq!(result(code, &["--file", shown(&large)]), 50 << 20);
}

#[test]
fn bytes_of_files_violated() {
    let here = directory(&[]);
    let large = here.path().join("large");
    fs::File::create(&large).unwrap().set_len((64 << 20) + 1).unwrap();
    let out = exec("", &["--file", shown(&large), "--memory", "64MiB"]);
    let end = "large is too large: files and code share --memory 64.0 MiB";
    assert_fails(&out, 1, end);
}

#[test]
fn bytes_that_the_program_writes_obeyed_and_violated() {
    let code = "try:\n    return open('new', 'wb', 0).write(bytes(2_000))\nexcept OSError as error:\n    return error.strerror";
    assert_eq!(result(code, &["--max-file-bytes", "2000"]), 2000);
    assert_eq!(result(code, &["--max-file-bytes", "1999"]), "No space left on device");
}

#[test]
fn an_endless_file_is_too_large() {
    let out = exec("", &["--file", "/dev/zero", "--memory", "64MiB"]);
    assert_fails(&out, 1, "/dev/zero is too large: files and code share --memory 64.0 MiB");
}

#[test]
fn the_number_of_files_obeyed_and_violated() {
    let here = directory(&[]);
    for n in 0..10_000 {
        fs::write(here.path().join(n.to_string()), "").unwrap();
    }
    let placed = format!("{}:/data", shown(here.path()));
    let code = "import os\nreturn len(os.listdir('/data'))";
    assert_eq!(result(code, &["--file", &placed]), 10_000);
    fs::write(here.path().join("one more"), "").unwrap();
    assert_fails(&exec(code, &["--file", &placed]), 1, "--file: there are more than 10000 files");
}

const LEAVE: &str = "
import os
os.makedirs('/out/d')
open('/out/a.txt', 'w').write('é')
open('/out/d/b', 'w').write('2')
open('/tmp/c', 'w').write('3')";

#[test]
fn files_that_the_code_leaves_are_written_and_listed() {
    let here = directory(&[]);
    let results = here.path().join("new/results");
    let (out, tmp) = (format!("/out:{}", shown(&results)), format!("/tmp/:{}", shown(here.path())));
    let output = exec(LEAVE, &["--out", &out, "--out", &tmp]);
    let expected = [("c", "3"), ("new/results/a.txt", "é"), ("new/results/d/b", "2")];
    assert_eq!(tree(here.path()), entries(&expected));
    let stderr = text(&output.stderr);
    let list = format!(
        "wrote {0}/a.txt (2 B)\nwrote {0}/d/b (1 B)\nwrote {1}/c (1 B)\nfuel ",
        shown(&results),
        shown(here.path())
    );
    assert!(stderr.starts_with(&list), "{stderr}");
}

#[test]
fn the_report_has_the_written_files() {
    let here = directory(&[]);
    let out = format!("/out:{}", shown(here.path()));
    let report = |code| {
        let out = exec(code, &["--out", &out, "--json"]);
        serde_json::from_slice::<Value>(&out.stdout).unwrap()
    };
    let written = |name: &str| format!("{}/{name}", shown(here.path()));
    assert_eq!(
        report(LEAVE)["files"],
        json!([
            {"path": "/out/a.txt", "written": written("a.txt"), "size": 2},
            {"path": "/out/d/b", "written": written("d/b"), "size": 1},
        ])
    );
    assert_eq!(report("return 1")["files"], json!([]));
    let out = exec("return 1", &["--json"]);
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report.get("files"), None);
}

#[test]
fn nothing_is_written_of_a_failed_task() {
    let here = directory(&[]);
    let out = format!("/out:{}/results", shown(here.path()));
    let output = exec(&format!("{LEAVE}\nraise ValueError('no')"), &["--out", &out]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!text(&output.stderr).contains("wrote"), "{}", text(&output.stderr));
    let output = exec("return 1", &["--out", &out]);
    assert!(text(&output.stderr).starts_with("The code left no files below /out.\n"));
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0);
}

#[test]
fn existing_files_are_replaced_only_on_request() {
    let here = directory(&[("d/b", "old"), ("other", "kept")]);
    let out = format!("/out:{}", shown(here.path()));
    let output = exec(LEAVE, &["--out", &out]);
    assert_eq!(output.status.code(), Some(1));
    let error = format!("{}/d/b exists; --overwrite replaces it\n", shown(here.path()));
    assert!(text(&output.stderr).contains(&error), "{}", text(&output.stderr));
    // Not even the files before it.
    assert_eq!(tree(here.path()), entries(&[("d/b", "old"), ("other", "kept")]));
    let output = exec(LEAVE, &["--out", &out, "--overwrite"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let expected = [("a.txt", "é"), ("d/b", "2"), ("other", "kept")];
    assert_eq!(tree(here.path()), entries(&expected));
}

#[test]
fn links_in_the_directory_are_not_followed() {
    let elsewhere = directory(&[("b", "safe"), ("a", "safe")]);
    for overwrite in [&[][..], &["--overwrite"]] {
        let here = directory(&[]);
        let out = format!("/out:{}", shown(here.path()));
        let arguments = [&["--out", &*out], overwrite].concat();
        symlink(elsewhere.path(), here.path().join("d")).unwrap();
        let output = exec(LEAVE, &arguments);
        assert_eq!(output.status.code(), Some(1));
        let error = "d/b: a link, or a file, is in the place of a directory";
        assert!(text(&output.stderr).contains(error), "{}", text(&output.stderr));
        fs::remove_file(here.path().join("d")).unwrap();
        symlink(elsewhere.path().join("a"), here.path().join("a.txt")).unwrap();
        let output = exec(LEAVE, &arguments);
        // A link to a file is replaced, and what it names stays.
        assert_eq!(output.status.code(), Some(i32::from(overwrite.is_empty())));
        assert_eq!(tree(elsewhere.path()), entries(&[("a", "safe"), ("b", "safe")]));
        let is_link = here.path().join("a.txt").is_symlink();
        assert_eq!(is_link, overwrite.is_empty());
    }
}

#[test]
fn a_directory_in_the_place_of_a_file_stays() {
    let here = directory(&[("a.txt/x", "1")]);
    let out = format!("/out:{}", shown(here.path()));
    let output = exec(LEAVE, &["--out", &out, "--overwrite"]);
    assert!(text(&output.stderr).contains("/a.txt is a directory\n"), "{}", text(&output.stderr));
    assert_eq!(tree(here.path()), entries(&[("a.txt/x", "1")]));
}

#[test]
fn the_own_choice_of_a_directory_may_be_a_link() {
    let here = directory(&[("real/x", "1")]);
    symlink("real", here.path().join("link")).unwrap();
    let out = format!("/tmp:{}/link", shown(here.path()));
    assert_eq!(exec(LEAVE, &["--out", &out]).status.code(), Some(0));
    assert_eq!(tree(&here.path().join("real")), entries(&[("c", "3"), ("x", "1")]));
}

#[test]
fn a_bad_out_is_one_line() {
    let here = directory(&[("file", "")]);
    let path = shown(here.path());
    let fails = |values: &[&str], code, end: &str| {
        let arguments: Vec<_> = values.iter().flat_map(|value| ["--out", value]).collect();
        assert_fails(&exec("", &arguments), code, end);
    };
    let form = "write /PATH:DIR, a directory of the task and one here, such as /out:results";
    fails(&["results"], 2, form);
    fails(&["/out"], 2, form);
    fails(&["/dev:x"], 2, "/dev is for devices");
    fails(&[&format!("/out:{path}/file")], 1, "file is not a directory");
    fails(&["/out:a", "/out:b"], 1, "--out: /out is there twice");
    fails(&["/out:a", "/out/b:b"], 1, "--out: /out/b lies below /out");
    assert_eq!(exec("", &["--overwrite"]).status.code(), Some(2));
}

#[test]
fn the_number_of_written_files_violated() {
    let here = directory(&[]);
    let out = format!("/out:{}/x", shown(here.path()));
    let code = "for n in range(10_001):\n    \
                open(f'/out/{n}', 'w').close()";
    let output = exec(code, &["--out", &out]);
    assert_eq!(output.status.code(), Some(3));
    let error = "Task handed back too many files: the limit is 10000\n";
    assert!(text(&output.stderr).starts_with(error), "{}", text(&output.stderr));
    let output = exec(&code.replace("10_001", "10_000"), &["--out", &out]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("wrote 9980 more files (0 B)\n"));
    assert_eq!(fs::read_dir(here.path().join("x")).unwrap().count(), 10_000);
}
