//! `serpentarium image`: the images on this machine.

mod build;
mod kit;
mod metadata;
mod packages;
mod pip;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use bytesize::ByteSize;
use clap::Subcommand;
use comfy_table::{Table, presets};
use serde::Serialize;
use sha2::{Digest, Sha256};

use self::build::BuildArgs;
use super::console::Console;
use crate::{
    config::{EMBEDDED, ImageChoice, image, image_directories},
    sandbox::{ImageInfo, embedded_image, image_info, split_image},
};

/// Builds, shows and removes images: the Python and the packages that tasks run on.
///
/// The executable holds the image `base`. Other images are files NAME.cwasm, which --image or
/// SERPENTARIUM_IMAGE names. A name is looked up in the working directory, in
/// $XDG_DATA_HOME/serpentarium/images and in /usr/share/serpentarium/images.
///
/// Exit codes: 0 done, 1 an image cannot be used, 2 wrong usage.
#[derive(Debug, clap::Args)]
pub(crate) struct ImageArgs {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    Build(BuildArgs),
    /// Lists all images.
    List {
        /// Print a JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Shows what an image contains.
    Show {
        /// The name or path.
        #[arg(value_name = "NAME|PATH", value_parser = image)]
        image: ImageChoice,
        /// Print a JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Checks that the native code of an image is unchanged: computes its SHA-256.
    Verify {
        /// The name or path.
        #[arg(value_name = "NAME|PATH", value_parser = image)]
        image: ImageChoice,
    },
    /// Deletes the file of an image.
    Remove {
        /// The name or path.
        #[arg(value_name = "NAME|PATH", value_parser = image)]
        image: ImageChoice,
    },
}

/// An image, and where it is.
#[derive(Serialize)]
struct Place {
    #[serde(flatten)]
    info: ImageInfo,
    /// `None`: in the executable.
    path: Option<PathBuf>,
    bytes: u64,
}

pub(crate) fn run(args: ImageArgs) -> anyhow::Result<ExitCode> {
    let console = Console::default();
    match args.command {
        ImageCommand::Build(args) => build::build(&console, &args)?,
        ImageCommand::List { json } => list(&console, json)?,
        ImageCommand::Show { image, json } => show(&console, &Place::of(&image)?, json)?,
        ImageCommand::Verify { image } => verify(&console, &image)?,
        ImageCommand::Remove { image } => remove(&console, &image)?,
    }
    Ok(console.finish(ExitCode::SUCCESS))
}

impl Place {
    fn of(image: &ImageChoice) -> anyhow::Result<Self> {
        match image.path() {
            Some(path) => Self::of_file(path),
            None => {
                let (code, info) = embedded_image().context("this executable has no image")?;
                Ok(Self { info, path: None, bytes: code.len() as u64 })
            }
        }
    }

    fn of_file(path: &Path) -> anyhow::Result<Self> {
        let info = image_info(path)?;
        Ok(Self { info, path: Some(path.into()), bytes: fs::metadata(path)?.len() })
    }

    /// Returns the path, or where else the image is.
    fn place(&self) -> String {
        self.path.as_ref().map_or("this executable".into(), |path| path.display().to_string())
    }
}

fn list(console: &Console, json: bool) -> anyhow::Result<()> {
    let mut places = vec![Place::of(&ImageChoice::default())?];
    for file in image_directories().iter().flat_map(|directory| files(directory)) {
        match Place::of_file(&file) {
            Ok(place) => places.push(place),
            Err(error) => console.note(format_args!("serpentarium: {error:#}")),
        }
    }
    if json {
        console.out_json(format_args!("{}\n", serde_json::to_string_pretty(&places)?));
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["image", "version", "Python", "packages", "size", "place"]);
    for place in &places {
        table.add_row([
            place.info.name.clone(),
            place.info.version.clone(),
            place.info.python.clone(),
            place.info.packages.len().to_string(),
            ByteSize(place.bytes).to_string(),
            place.place(),
        ]);
    }
    console.out(format_args!("{table}\n"));
    Ok(())
}

/// Returns the image files of a directory, by name. A directory that cannot be read has none.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
        .collect();
    files.sort();
    files
}

fn show(console: &Console, place: &Place, json: bool) -> anyhow::Result<()> {
    if json {
        console.out_json(format_args!("{}\n", serde_json::to_string_pretty(place)?));
        return Ok(());
    }
    let ImageInfo { name, base, version, release, python, target, codegen, sha256, packages } =
        &place.info;
    console.out(format_args!(
        "{name}: image {version} of Serpentarium {release}, Python {python}{}\n{}, {}, {target}, {codegen} code \
         generator\nSHA-256 of the native code {sha256}\n",
        base.as_ref().map(|base| format!(", made from {base}")).unwrap_or_default(),
        place.place(),
        ByteSize(place.bytes),
    ));
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["package", "version", "licence", "SHA-256 of its wheel"]);
    for package in packages {
        table.add_row([&package.name, &package.version, &package.license, &package.sha256]);
    }
    console.out(format_args!("{table}\n"));
    Ok(())
}

fn verify(console: &Console, image: &ImageChoice) -> anyhow::Result<()> {
    let place = Place::of(image)?;
    let bytes = image.path().map(fs::read).transpose()?;
    let (code, info) = match &bytes {
        Some(bytes) => split_image(bytes),
        None => embedded_image(),
    }
    .with_context(|| format!("{} has no manifest", place.place()))?;
    let actual: String = Sha256::digest(code).iter().map(|byte| format!("{byte:02x}")).collect();
    if actual != info.sha256 {
        bail!(
            "the native code of {} was changed: its SHA-256 is {actual}, its manifest says {}; build it again",
            place.place(),
            info.sha256
        );
    }
    console.out(format_args!("{}: unchanged, SHA-256 {actual}\n", place.place()));
    Ok(())
}

fn remove(console: &Console, image: &ImageChoice) -> anyhow::Result<()> {
    let Some(path) = image.path() else {
        bail!("the image {EMBEDDED} is part of this executable and cannot be removed");
    };
    // Refuses what is no image: a path may be mistyped.
    image_info(path)?;
    fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    console.out(format_args!("removed {}\n", path.display()));
    Ok(())
}
