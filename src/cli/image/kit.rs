//! The image kit: the tools that make images, and the parts of a base image.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::{config::EMBEDDED, platform::directory};

/// Names the directory of the kit.
pub(crate) const KIT_VAR: &str = "SERPENTARIUM_IMAGE_KIT";
/// The kit of the image `base`. That of the image `data` is `image-kit-data` beside it.
const KIT: &str = "image-kit";
/// The directory of kits in a checkout, from the directory of its executable.
const CHECKOUT: &str = "../../wasm/build";
/// The directory of kits for all users of the machine.
const SYSTEM: &str = "/usr/share/serpentarium";
/// The tool that starts Python, takes the snapshot and compiles it.
const TOOL: &str = "serpentarium-image";
/// The verifier of native code.
const VERIFIER: &str = "serpentarium-verify";

/// The tools that make images, and the parts of a base image.
pub(crate) struct Kit {
    directory: PathBuf,
    pub(crate) manifest: Value,
}

impl Kit {
    /// Finds the kit of the image `base`, in the directory `named` or the usual ones.
    ///
    /// # Errors
    /// There is none, or it is of another release.
    pub(crate) fn find(named: Option<&Path>, base: &str) -> anyhow::Result<Self> {
        let executable = std::env::current_exe().unwrap_or_default();
        let beside = executable.parent().unwrap_or(Path::new("."));
        let usual = [beside.into(), beside.join(CHECKOUT), PathBuf::from(SYSTEM)];
        let kits: Vec<PathBuf> = match named {
            Some(directory) => vec![directory.into()],
            None => usual.iter().map(|parent| parent.join(KIT)).collect(),
        };
        let places: Vec<PathBuf> = kits.iter().map(|kit| of_base(kit, base)).collect();
        let Some(directory) = places.into_iter().find(|place| is_kit(place)) else {
            let kits_text: Vec<_> = kits.iter().map(|place| place.display().to_string()).collect();
            let bases: Vec<_> = kits.iter().flat_map(|kit| bases(kit)).collect();
            if bases.is_empty() {
                bail!(
                    "there is no image kit in {}: name its directory with --kit or {KIT_VAR}",
                    kits_text.join(", ")
                );
            }
            bail!("there is no image kit for the base `{base}`; there are: {}", bases.join(", "));
        };
        Self::open(directory)
    }

    fn open(directory: PathBuf) -> anyhow::Result<Self> {
        let manifest = fs::read(directory.join("manifest.json"))
            .with_context(|| format!("{} has no manifest.json", directory.display()))?;
        let manifest: Value = serde_json::from_slice(&manifest)
            .with_context(|| format!("{}: manifest.json", directory.display()))?;
        let (theirs, ours) = (manifest["release"].as_str(), env!("CARGO_PKG_VERSION"));
        ensure!(
            theirs == Some(ours),
            "the image kit {} is of release {}, and this is {ours}",
            directory.display(),
            theirs.unwrap_or("unknown")
        );
        // Absolute: links to its packages are made in another directory.
        let directory = fs::canonicalize(directory).context("cannot read the image kit")?;
        Ok(Self { directory, manifest })
    }

    /// Returns the packages of the base image, as its manifest has them.
    pub(crate) fn packages(&self) -> anyhow::Result<Vec<Value>> {
        self.manifest["packages"].as_array().cloned().context("the kit's manifest has no packages")
    }

    /// Links the packages of the base image beside the fetched ones, and in the place of those of
    /// the same name: some of the base replace a part that needs sockets or native code.
    pub(crate) fn add_packages(&self, site: &Path) -> anyhow::Result<()> {
        for entry in fs::read_dir(self.directory.join("packages"))? {
            let entry = entry?;
            let target = site.join(entry.file_name());
            if target.is_dir() {
                fs::remove_dir_all(&target)?;
            } else if target.exists() {
                fs::remove_file(&target)?;
            }
            directory::link(&entry.path(), &target)?;
        }
        Ok(())
    }

    /// Starts Python with the packages in `site`, and writes the snapshot. It gets the branch hints
    /// of the base image.
    pub(crate) fn snapshot(&self, site: &Path, out: &Path) -> anyhow::Result<()> {
        let parts = ["python.wasm", "guest/_serpentarium"].map(|name| self.directory.join(name));
        let hints = self.directory.join("hints");
        self.run(TOOL, |tool| {
            tool.arg("snapshot").args(parts).arg(site).arg(hints).arg(out);
        })
    }

    /// Compiles a snapshot to native code.
    pub(crate) fn compile(
        &self,
        snapshot: &Path,
        manifest: &Path,
        out: &Path,
    ) -> anyhow::Result<()> {
        self.run(TOOL, |tool| {
            tool.arg("compile").args([snapshot, manifest, out]);
        })
    }

    /// Proves that the native code of an image stays within its sandbox.
    pub(crate) fn verify(
        &self,
        image: &Path,
        snapshot: &Path,
        counts: &Path,
    ) -> anyhow::Result<()> {
        self.run(VERIFIER, |tool| {
            tool.args([image, counts, snapshot]);
        })
    }

    fn run(&self, tool: &str, arguments: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
        let mut command = Command::new(self.directory.join(tool));
        arguments(&mut command);
        let done = command
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {tool} of the image kit"))?;
        if !done.status.success() {
            let text = String::from_utf8_lossy(&done.stderr);
            match traceback(&text) {
                Some(traceback) => bail!(
                    "a package cannot be imported, and no image was written; --import names the modules to \
                     import\n{traceback}"
                ),
                None => {
                    bail!("{tool} failed ({}); no image was written\n{}", done.status, text.trim())
                }
            }
        }
        Ok(())
    }
}

/// Returns the traceback in the output of the tool, without its warnings and the frames of the import
/// system.
fn traceback(text: &str) -> Option<String> {
    const START: &str = "Traceback (most recent call last):";
    let (_, rest) = text.split_once("warming up the guest package failed\n")?;
    let rest = rest.split("\nError: ").next()?.trim();
    let is_kept = |line: &&str| !line.trim_start().starts_with("File \"<frozen ");
    rest.starts_with(START).then(|| rest.lines().filter(is_kept).collect::<Vec<_>>().join("\n"))
}

/// Returns the directory of the kit for a base, from that of the kit for `base`.
fn of_base(kit: &Path, base: &str) -> PathBuf {
    let name = kit.file_name().unwrap_or_default().to_string_lossy();
    if base == EMBEDDED { kit.into() } else { kit.with_file_name(format!("{name}-{base}")) }
}

/// Returns the bases of the kits beside a kit.
fn bases(kit: &Path) -> Vec<String> {
    let prefix = kit.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = fs::read_dir(kit.parent().unwrap_or(Path::new(".")));
    let mut bases: Vec<_> = beside
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| is_kit(&entry.path()))
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let rest = name.strip_prefix(&prefix)?;
            if rest.is_empty() {
                Some(EMBEDDED.into())
            } else {
                rest.strip_prefix('-').map(Into::into)
            }
        })
        .collect();
    bases.sort();
    bases
}

fn is_kit(directory: &Path) -> bool {
    directory.join(TOOL).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_import_shows_the_traceback_of_the_package() {
        let text = "x.py:1: SyntaxWarning: odd\npython image: warming up the guest package failed\nTraceback (most recent call last):\n  File \"<frozen importlib>\", line 8, in import_module\n  File \"/a/b.py\", line 1\n    1/0\nZeroDivisionError: division by zero\n\nError: the step failed\n";
        let expected = "Traceback (most recent call last):\n  File \"/a/b.py\", line 1\n    1/0\nZeroDivisionError: division by zero";
        assert_eq!(traceback(text).as_deref(), Some(expected));
        assert_eq!(traceback("Error: the step failed"), None);
    }

    #[test]
    fn a_base_has_a_kit_of_its_own_beside_that_of_base() {
        let parent = tempfile::tempdir().unwrap();
        let kit = parent.path().join("image-kit");
        for (name, base) in [("image-kit", "base"), ("image-kit-data", "data")] {
            let directory = parent.path().join(name);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join(TOOL), "").unwrap();
            let manifest = serde_json::json!({"name": base, "release": env!("CARGO_PKG_VERSION")});
            fs::write(directory.join("manifest.json"), manifest.to_string()).unwrap();
        }
        fs::create_dir(parent.path().join("image-kit-empty")).unwrap();
        for base in ["base", "data"] {
            assert_eq!(Kit::find(Some(&kit), base).unwrap().manifest["name"], base);
        }
        let refused = |base| Kit::find(Some(&kit), base).err().unwrap().to_string();
        for base in ["dta", "empty"] {
            let expected =
                format!("there is no image kit for the base `{base}`; there are: base, data");
            assert_eq!(refused(base), expected);
        }
        let nowhere = Kit::find(Some(&parent.path().join("other")), "base").err().unwrap();
        assert!(nowhere.to_string().contains("name its directory with --kit"), "{nowhere}");
    }
}
