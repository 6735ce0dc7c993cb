//! Runs pip, and explains its errors.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use serde::Deserialize;

/// Commands that run pip, in order of preference.
const PIP: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["uvx", "pip"]];

/// Variables under which a build makes a wheel without its optional native part: no compiler works,
/// and PyYAML does not ask for one.
const WITHOUT_NATIVE: [(&str, &str); 4] =
    [("CC", "false"), ("CXX", "false"), ("LDSHARED", "false"), ("PYYAML_FORCE_LIBYAML", "0")];

/// pip's [installation report](https://pip.pypa.io/en/stable/reference/installation-report/).
#[derive(Deserialize)]
struct Report {
    install: Vec<Installed>,
}

/// A package that pip installed.
#[derive(Deserialize)]
pub(crate) struct Installed {
    pub metadata: Metadata,
    pub download_info: DownloadInfo,
}

#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub name: String,
    pub version: String,
}

#[derive(Deserialize)]
pub(crate) struct DownloadInfo {
    pub archive_info: ArchiveInfo,
}

#[derive(Deserialize)]
pub(crate) struct ArchiveInfo {
    pub hashes: Hashes,
}

#[derive(Deserialize)]
pub(crate) struct Hashes {
    pub sha256: String,
}

/// What pip installs, and from where.
pub(crate) struct Request<'a> {
    pub packages: &'a [String],
    pub requirements: &'a [PathBuf],
    /// Directories of wheels.
    pub wheels: &'a [PathBuf],
    /// Takes wheels of the directories only.
    pub no_index: bool,
    /// A file with versions that others must go with.
    pub constraints: &'a Path,
    /// The version of CPython in the image.
    pub python: &'a str,
}

/// What pip installed.
pub(crate) struct Done {
    pub packages: Vec<Installed>,
    /// Names of packages of which it tried several versions: it may have taken an old one.
    pub searched: Vec<String>,
}

/// pip could not install the packages: what it printed.
pub(crate) struct Refused(pub String);

/// A command that runs pip.
pub(crate) struct Pip(&'static [&'static str]);

impl Pip {
    /// Finds the first command that runs pip.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let works = |words: &&&'static [&'static str]| {
            let mut command = Self(words).command();
            command.arg("--version").stdin(Stdio::null());
            command.output().is_ok_and(|done| done.status.success())
        };
        PIP.iter()
            .find(works)
            .map(|words| Self(words))
            .context("pip is needed: install python3-pip, or uv")
    }

    fn command(&self) -> Command {
        let (program, arguments) = self.0.split_first().unwrap_or((&"pip3", &[]));
        let mut command = Command::new(program);
        command.args(arguments);
        command
    }

    fn with_index(&self, verb: &str, request: &Request) -> Command {
        let mut command = self.command();
        command.args(["--disable-pip-version-check", verb]);
        command.args(request.no_index.then_some("--no-index"));
        for directory in request.wheels {
            command.arg("--find-links").arg(directory);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Installs wheels of pure Python for the Python of the image, with all that they require, into
    /// the directory `site`.
    ///
    /// # Errors
    /// pip cannot be run, or its report cannot be read.
    pub(crate) fn install(
        &self,
        request: &Request,
        site: &Path,
        report: &Path,
    ) -> anyhow::Result<Result<Done, Refused>> {
        let mut command = self.with_index("install", request);
        command
            .args(["--ignore-installed", "--no-compile", "--only-binary=:all:"])
            .args(["--platform=any", "--implementation=py", "--abi=none"])
            .args(["--python-version", request.python])
            .arg("--target")
            .arg(site)
            .arg("--report")
            .arg(report)
            .arg("--constraint")
            .arg(request.constraints);
        for file in request.requirements {
            command.arg("--requirement").arg(file);
        }
        command.arg("--").args(request.packages);
        let done = command.output().context("cannot run pip")?;
        let printed = [done.stdout, done.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        if !done.status.success() {
            return Ok(Err(Refused(printed)));
        }
        let report: Report = serde_json::from_slice(&fs::read(report)?)
            .context("the report of pip cannot be read: a newer pip may help (22.2 or later)")?;
        Ok(Ok(Done { packages: report.install, searched: searched(&printed) }))
    }

    /// Builds a wheel from the source of a package, without what needs a compiler. Runs the build
    /// script of the package.
    ///
    /// # Errors
    /// The build fails: the package needs its native part.
    pub(crate) fn build(
        &self,
        request: &Request,
        requirement: &str,
        into: &Path,
    ) -> anyhow::Result<PathBuf> {
        let mut command = self.with_index("wheel", request);
        command.args(["--no-deps", "--no-binary", name_of(requirement), "--wheel-dir"]).arg(into);
        command.envs(WITHOUT_NATIVE).arg("--").arg(requirement);
        let done = command.output().context("cannot run pip")?;
        let wheel = fs::read_dir(into)?.flatten().map(|entry| entry.path()).next();
        match wheel {
            Some(wheel) if done.status.success() => Ok(wheel),
            _ => bail!(
                "{requirement} has no wheel of pure Python, and cannot be built without its native code: leave it out"
            ),
        }
    }
}

/// Returns the packages of which pip tried several versions.
fn searched(printed: &str) -> Vec<String> {
    const SEARCH: &str = "looking at multiple versions of ";
    let names = printed.lines().filter_map(|line| line.split_once(SEARCH));
    let mut names: Vec<_> = names.map(|(_, rest)| name_of(rest).to_lowercase()).collect();
    names.sort();
    names.dedup();
    names
}

/// Returns the name of the package in a requirement, such as `MarkupSafe>=2.0`.
pub(crate) fn name_of(requirement: &str) -> &str {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    requirement.split(|c| !is_name(c)).next().unwrap_or_default()
}

impl Refused {
    /// Returns requirements that may lack a wheel of pure Python, each package once.
    pub(crate) fn lacking(&self) -> Vec<&str> {
        const NONE: &str = "No matching distribution found for ";
        let lines = self.0.lines();
        let mut found: Vec<&str> = lines
            .filter_map(|line| {
                line.split_once(NONE)
                    .or_else(|| line.split_once(" depends on "))
                    .map(|(_, one)| one)
            })
            .map(str::trim)
            .filter(|requirement| !name_of(requirement).is_empty())
            .collect();
        // The first one is of the newest version that depends on it.
        let mut names = Vec::new();
        found.retain(|requirement| {
            let name = name_of(requirement).to_lowercase();
            !names.contains(&name) && {
                names.push(name);
                true
            }
        });
        found
    }

    /// Says what an image can take. `may_build`: packages without a wheel were built already.
    pub(crate) fn explain(&self, may_build: bool) -> String {
        let advice = if may_build {
            "leave it out, or take a version or a relative of it without native code"
        } else {
            "if that is optional, --allow-sdist builds it from source without, which runs the package's build script on \
             this machine"
        };
        let lacking = self.lacking();
        if self.0.contains("ResolutionImpossible") && !lacking.is_empty() {
            return format!(
                "no versions go together: {} is needed, and has no wheel of pure Python, or none that fits the packages of \
                 the image. Native code cannot join an image: {advice}",
                lacking.join(", ")
            );
        }
        if let Some(package) = lacking.first() {
            return format!(
                "{package} has no wheel of pure Python. Native code cannot join an image: {advice}"
            );
        }
        let errors: Vec<_> = self.0.lines().filter(|line| line.contains("ERROR")).collect();
        format!(
            "pip cannot fetch the packages: {}",
            if errors.is_empty() { self.0.trim().into() } else { errors.join("; ") }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_pip_say_what_an_image_takes() {
        let refused = |text: &str| Refused(text.into());
        let none =
            "ERROR: Could not find a version\nERROR: No matching distribution found for lxml\n";
        let text = refused(none).explain(false);
        assert!(text.starts_with("lxml has no wheel of pure Python."), "{text}");
        assert!(text.contains("--allow-sdist"), "{text}");
        assert!(!refused(none).explain(true).contains("--allow-sdist"));
        let conflict = "  jinja2 3.1.6 depends on MarkupSafe>=2.0\n  jinja2 2.9 depends on markupsafe\nERROR: ResolutionImpossible: for help\n";
        let text = refused(conflict).explain(false);
        assert!(text.starts_with("no versions go together: MarkupSafe>=2.0 is needed"), "{text}");
        let text = refused("WARNING: x\nERROR: Cannot install a and b\n").explain(false);
        assert_eq!(text, "pip cannot fetch the packages: ERROR: Cannot install a and b");
    }

    #[test]
    fn packages_of_which_pip_tried_versions_are_known() {
        let text = "INFO: pip is looking at multiple versions of Jsonschema to determine which\nINFO: pip is still looking at multiple versions of jsonschema to\nCollecting a\n";
        assert_eq!(searched(text), ["jsonschema"]);
    }

    #[test]
    fn a_requirement_begins_with_its_name() {
        for (requirement, name) in
            [("MarkupSafe>=2.0", "MarkupSafe"), ("a-b.c[x] ; z", "a-b.c"), ("==1", "")]
        {
            assert_eq!(name_of(requirement), name);
        }
    }
}
