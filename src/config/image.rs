//! The image of tasks: a name, which is looked up in the directories of images, or a path.

use std::path::{Path, PathBuf};

use crate::sandbox::{ImageError, ImageInfo, Sandbox, SandboxBuilder, embedded_image, image_info};

/// The name of the image in this executable.
pub(crate) const EMBEDDED: &str = "base";

/// The end of the name of an image file.
const EXTENSION: &str = "cwasm";

/// Directories of images for all users of the machine.
const SYSTEM: &str = "/usr/share/serpentarium/images";

/// A chosen image: the embedded one, or a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ImageChoice(Option<PathBuf>);

impl ImageChoice {
    /// Returns the file; `None` for the embedded image.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.0.as_deref()
    }

    /// Returns what the image says of itself. An executable without an image has none.
    ///
    /// # Errors
    /// The file cannot be used.
    pub(crate) fn info(&self) -> Result<ImageInfo, ImageError> {
        match self.path() {
            Some(path) => image_info(path),
            None => Ok(embedded_image().map(|(_, info)| info).unwrap_or_default()),
        }
    }

    /// Returns a builder for a sandbox with this image.
    pub(crate) fn builder(&self) -> SandboxBuilder {
        match self.path() {
            Some(path) => Sandbox::builder().image(path),
            None => Sandbox::builder(),
        }
    }
}

/// Finds an image by its name or path.
///
/// # Errors
/// No directory has an image of this name. The text names the directories.
pub(crate) fn image(text: &str) -> Result<ImageChoice, String> {
    find(text, &image_directories())
}

fn find(text: &str, directories: &[PathBuf]) -> Result<ImageChoice, String> {
    if text == EMBEDDED {
        return Ok(ImageChoice(None));
    }
    let path = Path::new(text);
    if text.contains('/') || path.extension().is_some_and(|extension| extension == EXTENSION) {
        return Ok(ImageChoice(Some(path.into())));
    }
    let files = directories.iter().map(|directory| directory.join(file_name(text)));
    let found = files.into_iter().find(|file| file.is_file());
    found.map(|file| ImageChoice(Some(file))).ok_or_else(|| {
        let places: Vec<_> = directories.iter().map(|place| place.display().to_string()).collect();
        format!(
            "there is no file {} in {}; `serpentarium image list` shows all images, {EMBEDDED} is always there",
            file_name(text),
            places.join(", ")
        )
    })
}

/// Returns the name of the file of an image.
pub(crate) fn file_name(name: &str) -> String {
    format!("{name}.{EXTENSION}")
}

/// Returns the directories of images, in the order in which a name is looked up: the working
/// directory, the user's, the system's
/// ([XDG Base Directory Specification](https://specifications.freedesktop.org/basedir-spec/latest/)).
pub(crate) fn image_directories() -> Vec<PathBuf> {
    [Some(".".into()), user_images(), Some(SYSTEM.into())].into_iter().flatten().collect()
}

/// Returns the directory of the user's images.
pub(crate) fn user_images() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).filter(|directory| directory.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("serpentarium/images"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_in_order_and_paths_are_not() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let directories = [first.path().to_owned(), second.path().to_owned()];
        let file = second.path().join("data.cwasm");
        std::fs::write(&file, "").unwrap();
        assert_eq!(find("data", &directories).unwrap().path(), Some(&*file));
        std::fs::write(first.path().join("data.cwasm"), "").unwrap();
        assert_eq!(
            find("data", &directories).unwrap().path(),
            Some(&*first.path().join("data.cwasm"))
        );
        assert_eq!(find("base", &directories), Ok(ImageChoice(None)));
        for path in ["./data", "data.cwasm", "/nowhere/x.cwasm"] {
            assert_eq!(find(path, &directories).unwrap().path(), Some(Path::new(path)));
        }
        let error = find("other", &directories).unwrap_err();
        assert!(
            error.contains("no file other.cwasm in ") && error.contains("image list"),
            "{error}"
        );
    }
}
