//! What an installed package says of itself: its directory `NAME.dist-info`.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Bytes of a licence's name, at most. Some packages put the text of the licence in its place.
const LONGEST_NAME: usize = 120;

/// Finds the directory of a package's metadata.
pub(crate) fn directory(site: &Path, name: &str, version: &str) -> Option<PathBuf> {
    let normal = |text: &str| text.to_lowercase().replace(['-', '.'], "_");
    let wanted = normal(&format!("{name}-{version}"));
    fs::read_dir(site).ok()?.flatten().map(|entry| entry.path()).find(|path| {
        let directory = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        directory.strip_suffix(".dist-info").is_some_and(|name| normal(name) == wanted)
    })
}

/// Reads the list of files of an installed package
/// ([RECORD](https://packaging.python.org/en/latest/specifications/recording-installed-packages/)).
pub(crate) fn files(directory: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(directory.join("RECORD")).ok()?;
    Some(text.lines().filter_map(|line| line.split(',').next()).map(Into::into).collect())
}

/// Reads the licence of an installed package; `unknown` if it names none.
pub(crate) fn licence(directory: &Path) -> String {
    // A file that is not UTF-8 has a name of the author at most.
    let bytes = fs::read(directory.join("METADATA")).unwrap_or_default();
    licence_in(&String::from_utf8_lossy(&bytes)).unwrap_or_else(|| "unknown".into())
}

/// Returns the licence that
/// [METADATA](https://packaging.python.org/en/latest/specifications/core-metadata/) names, as
/// `_licence` in wasm/recipe/native.py does.
fn licence_in(metadata: &str) -> Option<String> {
    let header: Vec<&str> = metadata.lines().take_while(|line| !line.is_empty()).collect();
    let field = |name: &str| {
        let at = header.iter().position(|line| {
            line.split_once(": ").is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
        })?;
        // A value of several lines is a text, not a name.
        let goes_on = header.get(at + 1).is_some_and(|next| next.starts_with([' ', '\t']));
        let (_, value) = header[at].split_once(": ")?;
        let is_name = !goes_on && !value.is_empty() && value.len() <= LONGEST_NAME;
        is_name.then(|| value.trim().to_owned())
    };
    let classes: Vec<&str> = header
        .iter()
        .filter_map(|line| line.strip_prefix("Classifier: License :: ")?.rsplit(" :: ").next())
        .collect();
    field("License-Expression")
        .or_else(|| field("License"))
        .or_else(|| (!classes.is_empty()).then(|| classes.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_an_expression_a_name_or_a_class() {
        let licence = |fields: &str| licence_in(&format!("Name: a\n{fields}\n\nLicense: body\n"));
        assert_eq!(
            licence("License: MIT\nLicense-Expression: BSD-3-Clause").unwrap(),
            "BSD-3-Clause"
        );
        assert_eq!(licence("License: MIT").unwrap(), "MIT");
        let class = "Classifier: License :: OSI Approved :: MIT License";
        assert_eq!(licence(class).unwrap(), "MIT License");
        assert_eq!(
            licence(&format!("License: Long\n        text\n{class}")).unwrap(),
            "MIT License"
        );
        assert_eq!(licence("Classifier: Topic :: Text"), None);
    }
}
