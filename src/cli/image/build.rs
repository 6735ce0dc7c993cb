//! `serpentarium image build`: an image with more packages.
//!
//! pip fetches them. The tools of the kit start Python with them, take the snapshot, compile it and
//! verify the native code, so this executable needs no compiler.

use std::{
    fs,
    io::{IsTerminal, stderr},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, ensure};
use serde_json::json;

use super::{
    kit::{KIT_VAR, Kit},
    packages::{Fetched, Wanted, fetch, lock_text, modules},
};
use crate::{
    cli::{bench::store, console::Console},
    config::{EMBEDDED, file_name, user_images},
    platform::owner,
    sandbox::image_info,
};

/// The module that tells the guest what to import (wasm/guest/_serpentarium/warmup.py).
const NAMES_MODULE: &str = "_serpentarium_packages";

/// Builds an image with packages from PyPI or a directory of wheels.
///
/// Takes pure-Python packages only. Resolves and fetches them with pip, imports them once, and keeps
/// the interpreter as it then is: a task imports them at no cost. Writes NAME.cwasm, and NAME.lock
/// with the version and hash of each package, which `-r` takes to build the same again. Wheels that
/// were built from source are kept in NAME.wheels, which `--wheel` takes.
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
    /// Build packages that have no wheel of pure Python from their source, without native code. This
    /// runs their build scripts on this machine, with your rights.
    #[arg(long)]
    allow_sdist: bool,
    /// The image to add packages to. Its kit is image-kit-BASE beside that of `base`.
    #[arg(long, value_name = "NAME", default_value = EMBEDDED, value_parser = store::name)]
    base: String,
    /// Modules to import before the snapshot [default: the top-level modules of all packages].
    /// Others are imported when a task does.
    #[arg(long, value_name = "MODULE", value_delimiter = ',')]
    import: Option<Vec<String>>,
    /// The directory of the image [default: $XDG_DATA_HOME/serpentarium/images].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The kit: the tool `serpentarium-image`, and the parts of the image `base` [default:
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
    let kit = Kit::find(args.kit.as_deref(), &args.base)?;
    let out = match &args.out {
        Some(directory) => directory.clone(),
        None => user_images().context("there is no home directory: name one with --out")?,
    };
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let work = tempfile::Builder::new().prefix("serpentarium-").tempdir()?;
    let work = work.path();
    let (site, wheels) = (work.join("site"), work.join("wheels"));
    let fetched = join(console, args, &kit, work, &site, &wheels)?;

    let unfinished = out.join(format!(".{}.new", args.name));
    let file = out.join(file_name(&args.name));
    make(console, args, &kit, &fetched, &site, work, &unfinished)
        .and_then(|()| publish(&unfinished, &file))
        .inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    let lock = out.join(format!("{}.lock", args.name));
    fs::write(&lock, lock_text(&fetched))
        .with_context(|| format!("cannot write {}", lock.display()))?;
    keep(&wheels, &out.join(format!("{}.wheels", args.name)))?;
    console.out(format_args!("{}\n", file.display()));
    console.note(format_args!(
        "Built in {:.1} s. Run code on it: serpentarium exec FILE --image {}",
        start.elapsed().as_secs_f64(),
        if args.out.is_some() { file.display().to_string() } else { args.name.clone() },
    ));
    Ok(())
}

/// Fetches the packages and puts them beside those of the base image.
fn join(
    console: &Console,
    args: &BuildArgs,
    kit: &Kit,
    work: &Path,
    site: &Path,
    wheels: &Path,
) -> anyhow::Result<Vec<Fetched>> {
    let progress = Progress::new(console, "Resolving and fetching packages");
    let wanted = Wanted {
        packages: &args.packages,
        requirements: &args.requirements,
        wheels: &args.wheel,
        no_index: args.no_index,
        allow_sdist: args.allow_sdist,
        built_in: kit.packages()?,
        python: kit.manifest["python"].as_str().context("the kit's manifest names no Python")?,
    };
    let fetched = fetch(&wanted, site, work, wheels)?;
    let names: Vec<_> = fetched.iter().map(|one| format!("{} {}", one.name, one.version)).collect();
    progress.done(format_args!("{}", names.join(", ")));
    for one in fetched.iter().filter(|one| one.may_be_old) {
        console.note(format_args!(
            "serpentarium: {} {} may be an old version: newer ones may need native code. Ask for a version to see why: \
             `{}>{}`",
            one.name, one.version, one.name, one.version
        ));
    }
    Ok(fetched)
}

/// Makes the image: imports the packages, compiles the snapshot and verifies the code.
fn make(
    console: &Console,
    args: &BuildArgs,
    kit: &Kit,
    fetched: &[Fetched],
    site: &Path,
    work: &Path,
    image: &Path,
) -> anyhow::Result<()> {
    let built_in = kit.packages()?;
    let own: Vec<_> = fetched.iter().filter(|one| !one.is_in(&built_in)).collect();
    kit.add_packages(site)?;
    let names =
        args.import.clone().unwrap_or_else(|| own.iter().flat_map(|one| modules(one)).collect());
    write_names(site, &names)?;

    let (snapshot, manifest) = (work.join("snapshot.wasm"), work.join("manifest.json"));
    let progress = Progress::new(console, "Importing them and taking the snapshot");
    kit.snapshot(site, &snapshot)?;
    progress.done(format_args!("{} modules imported", names.len()));

    let mut ours = kit.manifest.clone();
    ours["base"] = json!(args.base);
    ours["name"] = json!(args.name);
    ours["packages"] = json!([built_in, own.iter().map(|one| one.manifest()).collect()].concat());
    fs::write(&manifest, serde_json::to_vec(&ours)?)?;
    let progress = Progress::new(console, "Compiling to native code");
    kit.compile(&snapshot, &manifest, image)?;
    progress.done(format_args!("{} MB", fs::metadata(image)?.len() / 1_000_000));

    let progress = Progress::new(console, "Verifying the native code");
    kit.verify(image, &snapshot, &work.join("counts.json"))?;
    progress.done("all accesses proved");
    Ok(())
}

/// Keeps the wheels that were built from source, without which the lock file cannot be followed.
fn keep(wheels: &Path, place: &Path) -> anyhow::Result<()> {
    let built = fs::read_dir(wheels)?.collect::<Result<Vec<_>, _>>()?;
    for wheel in built.iter().filter(|entry| entry.path().is_file()) {
        fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
        fs::copy(wheel.path(), place.join(wheel.file_name()))?;
    }
    Ok(())
}

/// Gives a finished image its name, if it can be used.
fn publish(unfinished: &Path, file: &Path) -> anyhow::Result<()> {
    owner::allow_reading(unfinished)?;
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
