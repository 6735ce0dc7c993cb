//! `serpentarium notices`: the licences of the works in this executable, and
//! `serpentarium --version --verbose`: their versions.

use std::{ffi::OsString, process::ExitCode};

use super::console::{Console, print_error};
use crate::{
    config::{ImageChoice, image},
    sandbox::ImageInfo,
};

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

/// Returns the image whose versions a command line asks for, such as `exec --version --verbose
/// --image data`; `None` if it asks for something else. The image is a name or path.
pub(crate) fn asked_versions(words: &[OsString]) -> Option<Option<String>> {
    let mut words = words.iter().skip(1).map(|word| word.to_str()).peekable();
    // A subcommand.
    words.next_if(|word| word.is_some_and(|word| !word.starts_with('-')));
    let (mut version, mut verbose, mut image) = (false, false, None);
    while let Some(word) = words.next() {
        match word? {
            "--version" | "-V" if !version => version = true,
            "--verbose" | "-v" if !verbose => verbose = true,
            "--image" if image.is_none() => image = Some(words.next()??.to_owned()),
            word => image = Some(word.strip_prefix("--image=").filter(|_| image.is_none())?.into()),
        }
    }
    (version && verbose).then_some(image)
}

/// Prints the versions of this executable, of the Python image, of the packages in it, and of the
/// works in the executable.
pub(crate) fn print_versions(image: Option<&str>) -> ExitCode {
    let info = match image_info(image) {
        Ok(info) => info,
        Err(error) => {
            print_error(error);
            return ExitCode::FAILURE;
        }
    };
    let console = Console::default();
    console.out(concat!("serpentarium ", env!("CARGO_PKG_VERSION"), "\n"));
    let ImageInfo { name, version, .. } = &info;
    console.out(format_args!("image {name} {version}\n"));
    for package in &info.packages {
        console.out(format_args!("package {} {}\n", package.name, package.version));
    }
    for title in titles(NOTICES) {
        console.out(format_args!("{title}\n"));
    }
    console.finish(ExitCode::SUCCESS)
}

fn image_info(named: Option<&str>) -> Result<ImageInfo, String> {
    let choice = named.map_or_else(|| Ok(ImageChoice::default()), image)?;
    choice.info().map_err(|error| error.to_string())
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
        let asked =
            |line: &str| asked_versions(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in ["s --version --verbose", "s -v -V", "s exec -V -v"] {
            assert_eq!(asked(line), Some(None), "{line}");
        }
        for line in ["s exec -v -V --image x", "s --image=x -V -v"] {
            assert_eq!(asked(line), Some(Some("x".into())), "{line}");
        }
        for line in [
            "s --version --version",
            "s exec -v",
            "s --version",
            "s exec a.py -V -v",
            "s -V -v --image",
        ] {
            assert_eq!(asked(line), None, "{line}");
        }
    }

    #[test]
    fn titles_stand_between_two_rules() {
        let rule = "=".repeat(80);
        let text = format!("Text\n\n{rule}\nCPython 3\n{rule}\n\nA\n=\n\n{rule}\nzlib\n{rule}\n");
        assert_eq!(titles(&text).collect::<Vec<_>>(), ["CPython 3", "zlib"]);
    }
}
