//! `serpentarium image build`: an image with more packages.
//!
//! pip fetches them. The tool `serpentarium-image` of the kit starts Python with them, takes the
//! snapshot and compiles it, so this executable needs no compiler.

use std::{
    fs,
    io::{IsTerminal, stderr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use super::packages::{Wanted, fetch, lock_text, modules};
use crate::{
    cli::{bench::store, console::Console},
    config::{EMBEDDED, file_name, user_images},
    sandbox::image_info,
};

/// Names the directory of the kit.
const KIT_VAR: &str = "SERPENTARIUM_IMAGE_KIT";
/// The kit for all users of the machine.
const SYSTEM_KIT: &str = "/usr/share/serpentarium/image-kit";
/// The kit of a checkout, from the directory of its executable.
const CHECKOUT_KIT: &str = "../../wasm/build/image-kit";
/// The tool in the kit.
const TOOL: &str = "serpentarium-image";
/// The module that tells the guest what to import (wasm/guest/_serpentarium/warmup.py).
const NAMES_MODULE: &str = "_serpentarium_packages";

/// Builds an image with packages from PyPI or a directory of wheels.
///
/// Takes pure-Python packages only. Resolves and fetches them with pip, imports them once, and keeps
/// the interpreter as it then is: a task imports them at no cost. Writes NAME.cwasm, and NAME.lock
/// with the version and hash of each package, which `-r` takes to build the same again.
#[derive(Debug, clap::Args)]
pub(crate) struct BuildArgs {
    /// The name of the image.
    #[arg(short, long, value_parser = image_name)]
    name: String,
    /// Packages, as pip takes them: `jinja2`, `rich==14.0.0`.
    packages: Vec<String>,
    /// A requirements file, such as NAME.lock. Repeat it for more.
    #[arg(short, long, value_name = "FILE")]
    requirements: Vec<PathBuf>,
    /// A directory of wheels, beside the index. Repeat it for more.
    #[arg(long, value_name = "DIR")]
    wheel: Vec<PathBuf>,
    /// Take wheels from the directories only.
    #[arg(long)]
    no_index: bool,
    /// Modules to import before the snapshot [default: the top-level modules of all packages].
    /// Others are imported when a task does.
    #[arg(long, value_name = "MODULE", value_delimiter = ',')]
    import: Option<Vec<String>>,
    /// The directory of the image [default: $XDG_DATA_HOME/serpentarium/images].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The kit: the tool `serpentarium-image` and the parts of the image `base` [default:
    /// image-kit beside this executable, wasm/build/image-kit of a checkout, then
    /// /usr/share/serpentarium/image-kit].
    #[arg(long, env = KIT_VAR, value_name = "DIR")]
    kit: Option<PathBuf>,
}

/// Checks a name, which becomes the name of a file.
fn image_name(text: &str) -> Result<String, String> {
    if text == EMBEDDED {
        return Err(format!("{EMBEDDED} is the image in the executable: take another name"));
    }
    store::name(text)
}

pub(crate) fn build(console: &Console, args: &BuildArgs) -> anyhow::Result<()> {
    ensure!(
        !args.packages.is_empty() || !args.requirements.is_empty(),
        "name at least one package, or a requirements file with -r"
    );
    let start = Instant::now();
    let kit = Kit::find(args.kit.as_deref())?;
    let out = match &args.out {
        Some(directory) => directory.clone(),
        None => user_images().context("there is no home directory: name one with --out")?,
    };
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let work = tempfile::Builder::new().prefix("serpentarium-").tempdir()?;
    let work = work.path();

    let progress = Progress::new(console, "Resolving and fetching packages");
    let wanted = Wanted {
        packages: &args.packages,
        requirements: &args.requirements,
        wheels: &args.wheel,
        no_index: args.no_index,
        built_in: kit.packages()?,
        python: kit.manifest["python"].as_str().context("the kit's manifest names no Python")?,
    };
    let site = work.join("site");
    let fetched = fetch(&wanted, &site, work)?;
    progress.done(format_args!("{} packages", fetched.len()));
    kit.add_packages(&site)?;
    let names = args.import.clone().unwrap_or_else(|| fetched.iter().flat_map(modules).collect());
    write_names(&site, &names)?;

    let (snapshot, manifest) = (work.join("snapshot.wasm"), work.join("manifest.json"));
    let progress = Progress::new(console, "Importing them, snapshot and training");
    kit.run("snapshot", &["python.wasm", "guest/_serpentarium"], &[&site], &["train"], &snapshot)?;
    progress.done(format_args!("{} modules imported", names.len()));

    let all = [kit.packages()?, fetched.iter().map(|one| one.manifest()).collect()].concat();
    let mut own = kit.manifest.clone();
    own["name"] = json!(args.name);
    own["packages"] = json!(all);
    fs::write(&manifest, serde_json::to_vec(&own)?)?;
    let progress = Progress::new(console, "Compiling to native code");
    let unfinished = out.join(format!(".{}.new", args.name));
    kit.run("compile", &[], &[&snapshot, &manifest], &[], &unfinished)?;
    progress.done(format_args!("{} MB", fs::metadata(&unfinished)?.len() / 1_000_000));

    let file = out.join(file_name(&args.name));
    publish(&unfinished, &file)?;
    let lock = out.join(format!("{}.lock", args.name));
    fs::write(&lock, lock_text(&fetched))
        .with_context(|| format!("cannot write {}", lock.display()))?;
    console.out(format_args!("{}\n", file.display()));
    console.note(format_args!(
        "Built in {:.1} s. Run code on it: serpentarium exec FILE --image {}",
        start.elapsed().as_secs_f64(),
        if args.out.is_some() { file.display().to_string() } else { args.name.clone() },
    ));
    Ok(())
}

/// Gives a finished image its name, if it can be used.
fn publish(unfinished: &Path, file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    // Whoever runs tasks may be another user than who builds images.
    fs::set_permissions(unfinished, fs::Permissions::from_mode(0o644))?;
    image_info(unfinished)?;
    fs::rename(unfinished, file).with_context(|| format!("cannot write {}", file.display()))
}

/// Writes the module that names the modules to import.
fn write_names(site: &Path, names: &[String]) -> anyhow::Result<()> {
    let directory = site.join(NAMES_MODULE);
    fs::create_dir_all(&directory)?;
    let text = format!("NAMES = {}\n", serde_json::to_string(names)?);
    Ok(fs::write(directory.join("__init__.py"), text)?)
}

/// The tool that makes images, and the parts of the image `base`.
struct Kit {
    directory: PathBuf,
    manifest: Value,
}

impl Kit {
    fn find(named: Option<&Path>) -> anyhow::Result<Self> {
        let executable = std::env::current_exe().unwrap_or_default();
        let beside = executable.parent().unwrap_or(Path::new("."));
        let places: Vec<PathBuf> = match named {
            Some(directory) => vec![directory.into()],
            None => vec![beside.join("image-kit"), beside.join(CHECKOUT_KIT), SYSTEM_KIT.into()],
        };
        let Some(directory) = places.iter().find(|place| place.join(TOOL).is_file()) else {
            let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
            bail!(
                "there is no image kit in {}: name its directory with --kit or {KIT_VAR}",
                places.join(", ")
            );
        };
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
        Ok(Self { directory: directory.clone(), manifest })
    }

    /// Returns the packages of the image `base`, as its manifest has them.
    fn packages(&self) -> anyhow::Result<Vec<Value>> {
        self.manifest["packages"].as_array().cloned().context("the kit's manifest has no packages")
    }

    /// Links the packages of the image `base` beside the fetched ones, which come first.
    fn add_packages(&self, site: &Path) -> anyhow::Result<()> {
        for entry in fs::read_dir(self.directory.join("packages"))? {
            let entry = entry?;
            let target = site.join(entry.file_name());
            if !target.exists() {
                std::os::unix::fs::symlink(entry.path(), target)?;
            }
        }
        Ok(())
    }

    /// Runs a command of the tool. Paths of the kit are relative to its directory.
    fn run(
        &self,
        command: &str,
        first: &[&str],
        own: &[&Path],
        last: &[&str],
        out: &Path,
    ) -> anyhow::Result<()> {
        let parts = |names: &[&str]| -> Vec<PathBuf> {
            names.iter().map(|name| self.directory.join(name)).collect()
        };
        let done = Command::new(self.directory.join(TOOL))
            .arg(command)
            .args(parts(first))
            .args(own)
            .args(parts(last))
            .arg(out)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {TOOL}"))?;
        if !done.status.success() {
            let text = String::from_utf8_lossy(&done.stderr);
            bail!(
                "{TOOL} {command} failed ({}); no image was written\n{}",
                done.status,
                text.trim()
            );
        }
        Ok(())
    }
}

/// A line for a step: its name while it runs at a terminal, and its time at the end.
struct Progress<'a> {
    console: &'a Console,
    step: &'static str,
    start: Instant,
}

impl<'a> Progress<'a> {
    fn new(console: &'a Console, step: &'static str) -> Self {
        if stderr().is_terminal() {
            console.note(format_args!("{step} …"));
        }
        Self { console, step, start: Instant::now() }
    }

    fn done(self, what: impl std::fmt::Display) {
        let seconds = self.start.elapsed().as_secs_f64();
        self.console.note(format_args!("{}: {what}, {seconds:.1} s", self.step));
    }
}
