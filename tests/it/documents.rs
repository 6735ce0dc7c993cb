//! Links and paths in the documentation resolve.

use std::{
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Returns all Markdown files of the repository, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    collect(Path::new(ROOT), &mut files);
    files
}

fn collect(directory: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let is_product = ["target", "build", "node_modules"].contains(&name.as_str());
        if path.is_dir() && !name.starts_with('.') && !is_product {
            collect(&path, files);
        } else if name.ends_with(".md") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
}

/// Returns the text without fenced code blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// Returns the targets of inline links: `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// GitHub's anchor of a heading: lower case, spaces as dashes, punctuation removed.
fn anchor(heading: &str) -> String {
    let is_kept = |letter: &char| letter.is_alphanumeric() || "-_ ".contains(*letter);
    heading.to_lowercase().chars().filter(is_kept).collect::<String>().replace(' ', "-")
}

fn has_anchor(file: &Path, wanted: &str) -> bool {
    let text = fs::read_to_string(file).unwrap();
    let headings = prose(&text);
    let mut headings = headings.lines().filter(|line| line.starts_with('#'));
    headings.any(|line| anchor(line.trim_start_matches('#').trim()) == wanted)
}

/// Returns the reason why a link is broken.
fn fault(document: &Path, link: &str) -> Option<String> {
    let (path, wanted) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => document.to_owned(),
        _ => document.parent().unwrap().join(path),
    };
    if !target.exists() {
        return Some(format!("{}: {link}: no such file", document.display()));
    }
    let is_missing = !wanted.is_empty() && !has_anchor(&target, wanted);
    is_missing.then(|| format!("{}: {link}: no such heading", document.display()))
}

#[test]
fn each_link_resolves() {
    let documents = documents();
    assert!(documents.len() > 30, "only {} documents", documents.len());
    let mut faults = Vec::new();
    for (document, text) in &documents {
        let links = links(&prose(text));
        let local = links.iter().filter(|link| !link.contains("://"));
        faults.extend(local.filter_map(|link| fault(document, link)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Returns the paths in code spans: `src/…`, `wasm/…`, `tests/…` and the like, without
/// placeholders.
fn paths(text: &str) -> Vec<&str> {
    let roots = ["src/", "wasm/", "tests/", "docs/", "benches/", "scripts/", "examples/"];
    let spans = text.split('`').skip(1).step_by(2);
    let words = spans.filter_map(|span| span.split_whitespace().next());
    let plain = |word: &&str| !word.contains(['*', '…', '{', '<', '$']);
    words.filter(|word| roots.iter().any(|root| word.starts_with(root))).filter(plain).collect()
}

#[test]
fn each_path_in_a_code_span_exists() {
    let mut faults = Vec::new();
    for (document, text) in documents() {
        // The changelog and the decisions name files that no longer exist.
        let is_history = document.ends_with("CHANGELOG.md")
            || document.parent().is_some_and(|parent| parent.ends_with("decisions"));
        for path in paths(&prose(&text)).iter().filter(|_| !is_history) {
            let beside = document.parent().unwrap().join(path);
            if !Path::new(ROOT).join(path).exists() && !beside.exists() {
                faults.push(format!("{}: `{path}` does not exist", document.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_anchor_follows_githubs_rule() {
    assert_eq!(anchor("n8n's policy for user code"), "n8ns-policy-for-user-code");
    assert_eq!(anchor("Profiling: `serpentarium profile`"), "profiling-serpentarium-profile");
}

#[test]
fn a_broken_link_is_found() {
    let document = Path::new(ROOT).join("README.md");
    assert!(fault(&document, "docs/missing.md").is_some());
    assert!(fault(&document, "docs/security.md#no-such-heading").is_some());
    assert!(fault(&document, "docs/security.md#the-policy").is_none());
}
