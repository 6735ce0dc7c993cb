//! Rules of the repository: names of tests are short, documents name existing tests, and products of
//! a build are not tracked.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Characters that a test's name may have, by CONTRIBUTING.md.
const LONGEST: usize = 60;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns all Rust files of a directory.
fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Returns the names of the tests in Rust code: functions behind an attribute that makes them
/// tests.
fn names(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in code.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(rest) = line.trim_start_matches("async ").strip_prefix("fn ")
            && std::mem::take(&mut is_test)
        {
            names.push(rest.split('(').next().unwrap_or_default().to_owned());
        }
    }
    names
}

fn all_names() -> Vec<String> {
    let directories =
        ["src", "tests", "wasm/compiler/src", "wasm/verifier"].map(|path| root().join(path));
    let files = directories.iter().flat_map(|directory| rust_files(directory));
    files.flat_map(|file| names(&fs::read_to_string(file).unwrap())).collect()
}

/// Returns the names in the last column of a table. An ellipsis at the end stands for the rest of a
/// name.
fn names_in_table(document: &str) -> impl Iterator<Item = &str> {
    document
        .lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(|line| line.trim_end_matches('|').rsplit_once('|'))
        .flat_map(|(_, cell)| cell.split('`').skip(1).step_by(2))
        .filter(|name| !name.contains("::"))
        .map(|name| name.rsplit(' ').next().unwrap_or(name))
}

#[test]
fn the_name_of_a_test_has_at_most_60_characters() {
    let names = all_names();
    assert!(names.len() > 300, "only {} tests were found", names.len());
    let long: Vec<_> = names.iter().filter(|name| name.chars().count() > LONGEST).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn tests_that_the_security_page_names_exist() {
    let names = all_names();
    let document = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let exists = |named: &str| match named.strip_suffix('…') {
        Some(prefix) => names.iter().any(|name| name.starts_with(prefix)),
        None => names.iter().any(|name| name == named),
    };
    let named: Vec<_> = names_in_table(&document).collect();
    assert!(named.len() > 30, "only {} names were found", named.len());
    let missing: Vec<_> = named.into_iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn no_file_that_git_ignores_is_tracked() {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--ignored", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let tracked = String::from_utf8_lossy(&listed.stdout);
    assert!(tracked.is_empty(), "products of a build are tracked:\n{tracked}");
}

#[test]
fn names_of_tests_are_found() {
    let code = "#[test]\nfn one() {}\nfn none() {}\n  #[tokio::test]\n  async fn two() {}\n";
    assert_eq!(names(code), ["one", "two"]);
    let table = "| a | `b` | `limits: memory_…`, `three` |\nnone `four`\n";
    assert_eq!(names_in_table(table).collect::<Vec<_>>(), ["memory_…", "three"]);
}
