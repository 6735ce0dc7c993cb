//! Resolves and fetches pure-Python packages with pip.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use super::{
    metadata,
    pip::{Installed, Metadata, Pip, Refused, Request, name_of},
};

/// What to fetch.
pub(crate) struct Wanted<'a> {
    pub packages: &'a [String],
    pub requirements: &'a [PathBuf],
    pub wheels: &'a [PathBuf],
    pub no_index: bool,
    /// Whether to build packages that have no wheel of pure Python.
    pub allow_sdist: bool,
    /// Packages of the base image: others must go with their versions.
    pub built_in: Vec<Value>,
    /// The version of CPython in the image.
    pub python: &'a str,
}

/// A fetched package.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub name: String,
    pub version: String,
    /// Whether this may be an old version, because newer ones need what an image cannot take.
    pub may_be_old: bool,
    sha256: String,
    licence: String,
    /// Files of the package, relative to the directory of all packages.
    files: Vec<String>,
}

impl Fetched {
    /// Returns the entry of the image's manifest.
    pub(crate) fn manifest(&self) -> Value {
        json!({"name": self.name, "version": self.version, "sha256": self.sha256, "license": self.licence})
    }

    /// Returns whether this is a package that the list of a manifest has.
    pub(crate) fn is_in(&self, packages: &[Value]) -> bool {
        packages.iter().any(|one| one["name"].as_str().map(normal) == Some(normal(&self.name)))
    }
}

/// Returns the one spelling of a package's name.
fn normal(name: &str) -> String {
    name.to_lowercase().replace(['-', '.'], "_")
}

/// Fetches packages into the directory `site`, with all that they require. `work` holds files of
/// pip, and `built` gets the wheels that were built from source.
///
/// # Errors
/// There is no pip, or a package cannot be had: it has no pure-Python wheel, or versions conflict.
pub(crate) fn fetch(
    wanted: &Wanted,
    site: &Path,
    work: &Path,
    built: &Path,
) -> anyhow::Result<Vec<Fetched>> {
    let (constraints, report) = (work.join("constraints.txt"), work.join("report.json"));
    fs::write(&constraints, constraints_text(&wanted.built_in))?;
    fs::create_dir_all(built)?;
    let pip = Pip::find()?;
    let wheels = [wanted.wheels, &[built.to_owned()]].concat();
    let request = Request {
        packages: wanted.packages,
        requirements: wanted.requirements,
        wheels: &wheels,
        no_index: wanted.no_index,
        constraints: &constraints,
        python: wanted.python,
    };
    let mut tried = Vec::new();
    let done = loop {
        let refused = match pip.install(&request, site, &report)? {
            Ok(done) => break done,
            Err(refused) => refused,
        };
        if !wanted.allow_sdist || !build_lacking(&pip, &request, &refused, &mut tried, built)? {
            bail!("{}", refused.explain(wanted.allow_sdist));
        }
    };
    let mut packages = Vec::new();
    for one in done.packages {
        let may_be_old = done.searched.contains(&one.metadata.name.to_lowercase());
        packages.push(Fetched { may_be_old, ..fetched(one, site)? });
    }
    // The order of imports: a lock file then makes the same image as the command that wrote it.
    packages.sort_by_key(|one| normal(&one.name));
    Ok(packages)
}

/// Builds wheels of packages that pip lacks one for. Returns whether there are new ones. `tried` are
/// the names of packages that were built before.
fn build_lacking(
    pip: &Pip,
    request: &Request,
    refused: &Refused,
    tried: &mut Vec<String>,
    built: &Path,
) -> anyhow::Result<bool> {
    let mut any = false;
    for requirement in refused.lacking() {
        let name = name_of(requirement).to_lowercase();
        if tried.contains(&name) {
            continue;
        }
        tried.push(name);
        let own = tempfile::Builder::new().prefix("wheel-").tempdir_in(built)?;
        let wheel = pip.build(request, requirement, own.path())?;
        let target = built.join(pure_name(&wheel).context("pip built no wheel")?);
        fs::rename(&wheel, target)?;
        any = true;
    }
    Ok(any)
}

/// Returns the name of a wheel for all platforms. A build without a compiler may name the platform
/// all the same; native code in it is found when it is installed.
fn pure_name(wheel: &Path) -> Option<String> {
    let stem = wheel.file_stem()?.to_str()?;
    // NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM
    let mut parts = stem.rsplitn(4, '-');
    let (_platform, _abi, _python) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!("{}-py3-none-any.whl", parts.next()?))
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

fn fetched(one: Installed, site: &Path) -> anyhow::Result<Fetched> {
    let Installed { metadata: Metadata { name, version }, download_info } = one;
    let sha256 = download_info.archive_info.hashes.sha256;
    let directory = metadata::directory(site, &name, &version);
    let files = directory.as_deref().and_then(metadata::files);
    let files = files.with_context(|| format!("the files of {name} {version} are not recorded"))?;
    for file in &files {
        let native = [".so", ".pyd", ".dylib", ".dll"].iter().any(|end| file.ends_with(end));
        ensure!(!native, "{name} {version} has native code ({file}), which an image cannot take");
    }
    let licence = directory.map_or_else(String::new, |directory| metadata::licence(&directory));
    Ok(Fetched { name, version, may_be_old: false, sha256, licence, files })
}

/// Returns the top-level modules of a package, without private ones and tests.
pub(crate) fn modules(package: &Fetched) -> Vec<String> {
    let mut names: Vec<String> = package
        .files
        .iter()
        .filter_map(|file| match file.split_once('/') {
            Some((directory, "__init__.py")) => Some(directory),
            Some(_) => None,
            None => file.strip_suffix(".py"),
        })
        // Some packages put their tests beside themselves. An image takes none.
        .filter(|name| !name.starts_with('_') && *name != "tests")
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
        let (name, version, licence) = ("a.b".into(), "1".into(), "MIT".into());
        Fetched { name, version, may_be_old: false, sha256: "0f".into(), licence, files }
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
            "tests/__init__.py",
            "data/x.json",
            "space/inner/__init__.py",
        ];
        assert_eq!(modules(&package(&files)), ["six", "yaml"]);
    }

    #[test]
    fn a_lock_pins_version_and_hash() {
        assert_eq!(lock_text(&[package(&[])]), "a.b==1 --hash=sha256:0f\n");
    }

    #[test]
    fn a_package_has_one_name_in_many_spellings() {
        assert!(package(&[]).is_in(&[json!({"name": "A-B"})]));
        assert!(!package(&[]).is_in(&[json!({"name": "ab"}), json!({})]));
    }

    #[test]
    fn a_wheel_without_native_code_is_for_all_platforms() {
        let pure = |name: &str| pure_name(Path::new(name));
        let own = pure("/x/PyYAML-6.0-cp311-cp311-linux_x86_64.whl");
        assert_eq!(own.as_deref(), Some("PyYAML-6.0-py3-none-any.whl"));
        assert_eq!(pure("a-1-2-py3-none-any.whl").as_deref(), Some("a-1-2-py3-none-any.whl"));
        assert_eq!(pure("a-1.whl"), None);
    }
}
