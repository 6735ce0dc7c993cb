//! `serpentarium notices`: the licences of the works in this executable, and
//! `serpentarium --version --verbose`: their versions.

use std::{ffi::OsString, process::ExitCode};

use super::console::Console;

/// `scripts/build-python` collects it from the sources of the Python image.
const NOTICES: &str = include_str!(concat!(env!("OUT_DIR"), "/NOTICES.txt"));

/// Prints the licences of the works in this executable: CPython, wasi-libc, zlib, tzdata and
/// others.
#[derive(Debug, clap::Args)]
pub(crate) struct NoticesArgs {}

pub(crate) fn run(NoticesArgs {}: NoticesArgs) -> anyhow::Result<ExitCode> {
    let console = Console::default();
    console.out(NOTICES);
    Ok(console.finish(ExitCode::SUCCESS))
}

/// Returns whether a command line asks for all versions.
pub(crate) fn asks_for_versions(words: &[OsString]) -> bool {
    let is = |word: &OsString, names: [&str; 2]| names.iter().any(|name| word == name);
    let (version, verbose) = (["--version", "-V"], ["--verbose", "-v"]);
    let [_, one, other] = words else { return false };
    (is(one, version) && is(other, verbose)) || (is(one, verbose) && is(other, version))
}

/// Prints the versions of this executable, of its Python image, and of the works in the image.
pub(crate) fn print_versions() -> ExitCode {
    let console = Console::default();
    let image = env!("SERPENTARIUM_IMAGE_VERSION");
    console.out(concat!("serpentarium ", env!("CARGO_PKG_VERSION"), "\n"));
    console.out(format_args!("image {image}\n"));
    for title in titles(NOTICES) {
        console.out(format_args!("{title}\n"));
    }
    console.finish(ExitCode::SUCCESS)
}

/// Returns the titles of the notices: the lines between two rules.
fn titles(notices: &str) -> impl Iterator<Item = &str> {
    let is_rule = |line: &str| line.len() > 20 && line.bytes().all(|byte| byte == b'=');
    let lines: Vec<&str> = notices.lines().collect();
    let titled: Vec<&str> = lines
        .windows(3)
        .filter(|three| is_rule(three[0]) && is_rule(three[2]))
        .map(|three| three[1])
        .collect();
    titled.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_asked_for_in_any_order() {
        let asks = |words: &[&str]| {
            asks_for_versions(&words.iter().map(OsString::from).collect::<Vec<_>>())
        };
        for words in [["s", "--version", "--verbose"], ["s", "-v", "-V"], ["s", "-V", "-v"]] {
            assert!(asks(&words), "{words:?}");
        }
        for words in [["s", "--version", "--version"], ["s", "exec", "-v"]] {
            assert!(!asks(&words), "{words:?}");
        }
        assert!(!asks(&["s", "--version"]));
    }

    #[test]
    fn titles_stand_between_two_rules() {
        let rule = "=".repeat(80);
        let text = format!("Text\n\n{rule}\nCPython 3\n{rule}\n\nA\n=\n\n{rule}\nzlib\n{rule}\n");
        assert_eq!(titles(&text).collect::<Vec<_>>(), ["CPython 3", "zlib"]);
    }
}
