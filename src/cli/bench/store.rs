//! Baselines: saved measurements, one JSON file per name.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::text::{brief, shown};

/// Default directory, relative to the working directory, so that baselines can be committed with
/// the code.
pub(crate) const DIRECTORY: &str = ".serpentarium/bench";
/// Version of the file format.
const FORMAT: u32 = 2;

/// Saved measurements and their conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Baseline {
    format: u32,
    #[serde(flatten)]
    conditions: Conditions,
    /// Fuel and memory of each benchmark.
    pub benchmarks: BTreeMap<String, Stored>,
}

/// Conditions that must be equal for a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Conditions {
    /// Version of the Python image. Fuel is comparable only within one image.
    pub image: String,
    pub seed: u64,
    pub each: bool,
    /// FNV-1a hash of the input items, 16 hexadecimal digits.
    pub items: String,
}

impl Conditions {
    pub(crate) fn new(image: &str, seed: u64, each: bool, items: &RawValue) -> Self {
        let items = format!("{:016x}", hash(items.get().as_bytes()));
        Self { image: image.into(), seed, each, items }
    }
}

/// Hashes with [FNV-1a](https://datatracker.ietf.org/doc/html/draft-eastlake-fnv): the same in
/// every release. It detects mistakes only, so it need not resist forgery.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The member that every version of the format has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// The saved figures of one benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub fuel: u64,
    pub memory: u64,
}

/// Why a baseline cannot be read, compared with, or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("there is no baseline {name} ({}); make it with --save {name}", path.display())]
    None { name: String, path: PathBuf },
    #[error("cannot read {}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{} is not a baseline: {error}; measure the old code again, and --save it", path.display())]
    Form { path: PathBuf, error: serde_json::Error },
    #[error(
        "{} has format {format}, and this serpentarium knows format {FORMAT}: save the baseline again", path.display()
    )]
    Format { path: PathBuf, format: u32 },
    #[error(
        "baseline {name} was measured with Python image {theirs}, and this is {ours}: fuel cannot be compared \
         between images; measure the old code again with this image, and --save {name}"
    )]
    Image { name: String, theirs: String, ours: String },
    #[error(
        "baseline {name} was measured with --seed {}{}: measure in the same way, or --save it again",
        conditions.seed, if conditions.each { " --each" } else { " and without --each" }
    )]
    Conditions { name: String, conditions: Conditions },
    #[error(
        "baseline {0} was measured with other items: measure with the same --items, or --save it again"
    )]
    Items(String),
    #[error("cannot write {}: {error}", path.display())]
    Write { path: PathBuf, error: io::Error },
}

/// Checks the name of a baseline, which becomes a file name.
///
/// # Errors
/// The name is not 1 to 64 ASCII letters, digits, dots, dashes and underscores, or begins with a
/// dot.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.is_empty() || text.len() > 64 || text.starts_with('.') || !text.bytes().all(fits) {
        return Err("must be 1 to 64 letters, digits, dots, dashes and underscores, and not begin with a dot".into());
    }
    Ok(text.to_owned())
}

impl Baseline {
    pub(crate) fn new(conditions: Conditions, benchmarks: BTreeMap<String, Stored>) -> Self {
        Self { format: FORMAT, conditions, benchmarks }
    }

    /// Reads a baseline, and checks that it was measured under `conditions`.
    pub(crate) fn load(
        directory: &Path,
        name: &str,
        conditions: &Conditions,
    ) -> Result<Self, StoreError> {
        let path = path(directory, name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::None { name: name.into(), path });
            }
            Err(error) => return Err(StoreError::Read { path, error }),
        };
        match serde_json::from_str(&text) {
            Ok(Format { format: FORMAT }) => {}
            Ok(Format { format }) => return Err(StoreError::Format { path, format }),
            Err(error) => return Err(StoreError::Form { path, error }),
        }
        let baseline: Self = match serde_json::from_str(&text) {
            Ok(baseline) => baseline,
            Err(error) => return Err(StoreError::Form { path, error }),
        };
        baseline.checked(name, conditions)
    }

    /// Checks image and conditions, and makes the names safe for a terminal.
    fn checked(mut self, name: &str, conditions: &Conditions) -> Result<Self, StoreError> {
        let name = name.to_owned();
        let Conditions { ref image, seed, each, ref items } = self.conditions;
        if *image != conditions.image {
            let (theirs, ours) = (brief(image).to_string(), conditions.image.clone());
            return Err(StoreError::Image { name, theirs, ours });
        }
        if (seed, each) != (conditions.seed, conditions.each) {
            return Err(StoreError::Conditions { name, conditions: self.conditions });
        }
        if *items != conditions.items {
            return Err(StoreError::Items(name));
        }
        let safe = |(name, stored): (String, _)| (shown(&name, usize::MAX).to_string(), stored);
        self.benchmarks = self.benchmarks.into_iter().map(safe).collect();
        Ok(self)
    }

    /// Writes the file atomically (write to a temporary file, then rename). Returns its path.
    pub(crate) fn save(&self, directory: &Path, name: &str) -> Result<PathBuf, StoreError> {
        let path = path(directory, name);
        let write = || {
            fs::create_dir_all(directory)?;
            let unfinished = path.with_extension("json.new");
            fs::write(&unfinished, serde_json::to_string_pretty(self)? + "\n")?;
            fs::rename(&unfinished, &path)
        };
        match write() {
            Ok(()) => Ok(path),
            Err(error) => Err(StoreError::Write { path, error }),
        }
    }
}

fn path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_loads_only_under_its_own_conditions() {
        let with = |seed, items: &str| {
            Conditions::new("1f", seed, false, &RawValue::from_string(items.into()).unwrap())
        };
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("a/b");
        let stored = [("x.py".to_owned(), Stored { fuel: 7, memory: 8 })].into();
        let baseline = Baseline::new(with(0, "[]"), stored);
        baseline.save(&inner, "main").unwrap();
        let load = |name, seed, items| Baseline::load(&inner, name, &with(seed, items));
        assert_eq!(load("main", 0, "[]").unwrap(), baseline);
        assert!(matches!(load("main", 1, "[]"), Err(StoreError::Conditions { .. })));
        assert!(matches!(load("main", 0, "[{}]"), Err(StoreError::Items(_))));
        assert!(matches!(load("other", 0, "[]"), Err(StoreError::None { .. })));
        let other = Conditions { image: "2e".into(), ..with(0, "[]") };
        let error = Baseline::load(&inner, "main", &other).unwrap_err().to_string();
        assert!(error.contains("with Python image 1f, and this is 2e: fuel"), "{error}");
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        for good in ["main", "v1.2", "a_b-c"] {
            assert_eq!(name(good).unwrap(), good);
        }
        for bad in ["", ".", "..", "../x", "a/b", "a b", "é", &"x".repeat(65)] {
            name(bad).unwrap_err();
        }
    }
}
