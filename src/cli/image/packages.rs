//! Resolves and fetches pure-Python packages with pip.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

/// Commands that run pip, in order of preference.
const PIP: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["uvx", "pip"]];

/// What to fetch.
pub(crate) struct Wanted<'a> {
    pub packages: &'a [String],
    pub requirements: &'a [PathBuf],
    pub wheels: &'a [PathBuf],
    pub no_index: bool,
    /// Packages of the image `base`: others must go with their versions.
    pub built_in: Vec<Value>,
    /// The version of CPython in the image.
    pub python: &'a str,
}

/// A fetched package.
#[derive(Debug)]
pub(crate) struct Fetched {
    name: String,
    version: String,
    sha256: String,
    /// Files of the package, relative to the directory of all packages.
    files: Vec<String>,
}

impl Fetched {
    /// Returns the entry of the image's manifest.
    pub(crate) fn manifest(&self) -> Value {
        json!({"name": self.name, "version": self.version, "sha256": self.sha256})
    }
}

/// pip's [installation report](https://pip.pypa.io/en/stable/reference/installation-report/).
#[derive(Deserialize)]
struct Report {
    install: Vec<Installed>,
}

#[derive(Deserialize)]
struct Installed {
    metadata: Metadata,
    download_info: DownloadInfo,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct DownloadInfo {
    archive_info: ArchiveInfo,
}

#[derive(Deserialize)]
struct ArchiveInfo {
    hashes: Hashes,
}

#[derive(Deserialize)]
struct Hashes {
    sha256: String,
}

/// Fetches packages into the directory `site`, with all that they require. `work` holds files of
/// pip.
///
/// # Errors
/// There is no pip, or a package cannot be had: it has no pure-Python wheel, or versions conflict.
pub(crate) fn fetch(wanted: &Wanted, site: &Path, work: &Path) -> anyhow::Result<Vec<Fetched>> {
    let constraints = work.join("constraints.txt");
    fs::write(&constraints, constraints_text(&wanted.built_in))?;
    let report = work.join("report.json");
    let [words, first @ ..] = pip()? else { bail!("there is no command for pip") };
    let mut command = Command::new(words);
    command
        .args(first)
        .args(["--disable-pip-version-check", "install", "--ignore-installed"])
        // Wheels of pure Python, for the Python of the image.
        .args(["--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none"])
        .args(["--python-version", wanted.python])
        .arg("--target")
        .arg(site)
        .arg("--report")
        .arg(&report)
        .arg("--constraint")
        .arg(&constraints)
        .args(wanted.no_index.then_some("--no-index"));
    for directory in wanted.wheels {
        command.arg("--find-links").arg(directory);
    }
    for file in wanted.requirements {
        command.arg("--requirement").arg(file);
    }
    command.arg("--").args(wanted.packages);
    let done = command.stdin(Stdio::null()).output().context("cannot run pip")?;
    if !done.status.success() {
        let printed = [done.stdout, done.stderr].concat();
        bail!("{}", explain(&String::from_utf8_lossy(&printed)));
    }
    let report: Report = serde_json::from_slice(&fs::read(&report)?)
        .context("the report of pip cannot be read: a newer pip may help (22.2 or later)")?;
    report.install.into_iter().map(|one| fetched(one, site)).collect()
}

/// Returns the first command that runs pip.
fn pip() -> anyhow::Result<&'static [&'static str]> {
    let works = |words: &&&[&str]| {
        let [program, arguments @ ..] = **words else { return false };
        let mut command = Command::new(program);
        command.args(arguments).arg("--version").stdin(Stdio::null());
        command.output().is_ok_and(|done| done.status.success())
    };
    PIP.iter().find(works).copied().context("pip is needed: install python3-pip, or uv")
}

/// The versions of the image's own packages, as pip's constraints.
fn constraints_text(built_in: &[Value]) -> String {
    let mut text = String::new();
    for package in built_in {
        if let (Some(name), Some(version)) = (package["name"].as_str(), package["version"].as_str())
        {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}=={version}");
        }
    }
    text
}

/// Turns pip's errors into text that says what an image can take.
fn explain(printed: &str) -> String {
    const CONFLICT: &str = "ResolutionImpossible";
    const NONE: &str = "No matching distribution found for ";
    if let Some((_, package)) = printed.split_once(NONE) {
        let package = package.lines().next().unwrap_or_default();
        return format!(
            "{package} has no wheel of pure Python. An image takes no native code but its own: leave the package out, or \
             take a version or a relative of it without native code"
        );
    }
    let mut needs: Vec<_> = printed
        .lines()
        .filter_map(|line| line.split_once(" depends on ").map(|(_, package)| package.trim()))
        .collect();
    needs.sort_unstable();
    needs.dedup();
    if printed.contains(CONFLICT) && !needs.is_empty() {
        return format!(
            "no versions go together: {} is needed, and has no wheel of pure Python, or none that fits the packages of \
             the image. --wheel takes a directory with a wheel of your own",
            needs.join(", ")
        );
    }
    let errors: Vec<_> = printed.lines().filter(|line| line.contains("ERROR")).collect();
    format!(
        "pip cannot fetch the packages: {}",
        if errors.is_empty() { printed.trim().into() } else { errors.join("; ") }
    )
}

fn fetched(one: Installed, site: &Path) -> anyhow::Result<Fetched> {
    let Installed { metadata: Metadata { name, version }, download_info } = one;
    let sha256 = download_info.archive_info.hashes.sha256;
    let files = recorded(site, &name, &version)
        .with_context(|| format!("the files of {name} {version} are not recorded"))?;
    for file in &files {
        let native = [".so", ".pyd", ".dylib", ".dll"].iter().any(|end| file.ends_with(end));
        ensure!(!native, "{name} {version} has native code ({file}), which an image cannot take");
    }
    Ok(Fetched { name, version, sha256, files })
}

/// Reads the list of files of an installed package
/// ([RECORD](https://packaging.python.org/en/latest/specifications/recording-installed-packages/)).
fn recorded(site: &Path, name: &str, version: &str) -> Option<Vec<String>> {
    let normal = |text: &str| text.to_lowercase().replace(['-', '.'], "_");
    let wanted = normal(&format!("{name}-{version}"));
    let directory = fs::read_dir(site).ok()?.flatten().map(|entry| entry.path()).find(|path| {
        let directory = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        directory.strip_suffix(".dist-info").is_some_and(|name| normal(name) == wanted)
    })?;
    let text = fs::read_to_string(directory.join("RECORD")).ok()?;
    Some(text.lines().filter_map(|line| line.split(',').next()).map(Into::into).collect())
}

/// Returns the top-level modules of a package, without private ones.
pub(crate) fn modules(package: &Fetched) -> Vec<String> {
    let mut names: Vec<String> = package
        .files
        .iter()
        .filter_map(|file| match file.split_once('/') {
            Some((directory, "__init__.py")) => Some(directory),
            Some(_) => None,
            None => file.strip_suffix(".py"),
        })
        .filter(|name| !name.starts_with('_'))
        .map(Into::into)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Returns a requirements file that pins each package by version and hash.
pub(crate) fn lock_text(packages: &[Fetched]) -> String {
    let mut lines: Vec<String> = packages
        .iter()
        .map(|one| format!("{}=={} --hash=sha256:{}\n", one.name, one.version, one.sha256))
        .collect();
    lines.sort();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(files: &[&str]) -> Fetched {
        let files = files.iter().map(|file| (*file).into()).collect();
        Fetched { name: "a".into(), version: "1".into(), sha256: "0f".into(), files }
    }

    #[test]
    fn top_level_modules_are_packages_and_files() {
        let files = [
            "yaml/__init__.py",
            "yaml/nodes.py",
            "_yaml/__init__.py",
            "six.py",
            "a-1.dist-info/RECORD",
            "bin/tool",
            "data/x.json",
            "space/inner/__init__.py",
        ];
        assert_eq!(modules(&package(&files)), ["six", "yaml"]);
    }

    #[test]
    fn a_lock_pins_version_and_hash() {
        assert_eq!(lock_text(&[package(&[])]), "a==1 --hash=sha256:0f\n");
    }

    #[test]
    fn errors_of_pip_say_what_an_image_takes() {
        let text = explain(
            "ERROR: Could not find a version\nERROR: No matching distribution found for lxml\n",
        );
        assert!(text.starts_with("lxml has no wheel of pure Python."), "{text}");
        let text = explain(
            "  jinja2 3.1.6 depends on MarkupSafe>=2.0\n  jinja2 3.1.5 depends on MarkupSafe>=2.0\nERROR: ResolutionImpossible: for help\n",
        );
        assert!(text.starts_with("no versions go together: MarkupSafe>=2.0 is needed"), "{text}");
        let text = explain("WARNING: x\nERROR: Cannot install a and b\n");
        assert_eq!(text, "pip cannot fetch the packages: ERROR: Cannot install a and b");
    }
}
