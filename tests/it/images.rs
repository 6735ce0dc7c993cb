//! Image files: the command `image`, and tasks on other images than the embedded one.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use serde_json::Value;
use serpentarium::{
    sandbox::{IMAGE_VERSION, ImageError, NoHost, Program, Sandbox, SandboxError},
    workers::{Lockdown, Pool, PoolConfig},
};

use crate::support::{Echo, job, returned};

/// The image of the stock code generator: a file that is not the embedded image. `scripts/test`
/// makes it and sets this.
const STOCK_IMAGE: &str = "SERPENTARIUM_TEST_STOCK_IMAGE";

/// A directory of the user with a copy of that image, named `other`.
pub(crate) struct Home {
    pub directory: tempfile::TempDir,
    pub file: PathBuf,
}

impl Home {
    /// Returns `None` without the image.
    pub(crate) fn new() -> Option<Self> {
        let Some(image) = std::env::var_os(STOCK_IMAGE) else {
            eprintln!("{STOCK_IMAGE} is not set: no image file to try");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let images = directory.path().join("serpentarium/images");
        fs::create_dir_all(&images).unwrap();
        let file = images.join("other.cwasm");
        fs::copy(image, &file).unwrap();
        allow(&file, 0o644);
        Some(Self { directory, file })
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_serpentarium"))
            .args(arguments)
            .env("XDG_DATA_HOME", self.directory.path())
            .env_remove("SERPENTARIUM_IMAGE")
            .current_dir(self.directory.path())
            .output()
            .unwrap()
    }

    /// Returns standard output of a command that must succeed.
    pub(crate) fn output(&self, arguments: &[&str]) -> String {
        let out = self.run(arguments);
        assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// Returns the one line of standard error of a command that must fail.
    pub(crate) fn error(&self, arguments: &[&str]) -> String {
        let out = self.run(arguments);
        assert!(!out.status.success(), "{arguments:?}");
        let text = String::from_utf8(out.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    }
}

fn allow(file: &Path, mode: u32) {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn images_are_listed_shown_verified_and_removed() {
    let Some(home) = Home::new() else { return };
    let listed = home.output(&["image", "list"]);
    assert!(listed.contains("this executable") && listed.contains("other.cwasm"), "{listed}");
    let listed: Value = serde_json::from_str(&home.output(&["image", "list", "--json"])).unwrap();
    assert_eq!(listed[0]["version"], IMAGE_VERSION);
    assert_eq!(listed[0]["codegen"], "patched");
    assert_eq!(listed[1]["codegen"], "stock");
    // One snapshot, two code generators: tasks consume the same fuel.
    assert_eq!(listed[1]["version"], IMAGE_VERSION);
    let shown = home.output(&["image", "show", "other"]);
    assert!(shown.contains("jmespath") && shown.contains("stock code generator"), "{shown}");
    for name in ["other", "base"] {
        assert!(home.output(&["image", "verify", name]).contains("unchanged"), "{name}");
    }
    assert!(home.error(&["image", "remove", "base"]).contains("cannot be removed"));
    home.output(&["image", "remove", "other"]);
    assert!(!home.file.exists());
    assert!(home.error(&["image", "show", "other"]).contains("there is no file other.cwasm in"));
}

#[test]
fn a_changed_image_is_found() {
    let Some(home) = Home::new() else { return };
    let mut bytes = fs::read(&home.file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&home.file, bytes).unwrap();
    assert!(home.error(&["image", "verify", "other"]).contains("was changed"));
}

#[test]
fn code_runs_on_the_image_that_is_named() {
    let Some(home) = Home::new() else { return };
    let script = home.directory.path().join("x.py");
    fs::write(&script, "return sum(range(10))").unwrap();
    let path = home.file.to_str().unwrap();
    let fuel = |arguments: &[&str]| {
        let words = [&["exec", "x.py", "--json", "--deterministic"], arguments].concat();
        let report: Value = serde_json::from_str(&home.output(&words)).unwrap();
        assert_eq!(report["result"], 45);
        report["fuel"].as_u64().unwrap()
    };
    let expected = fuel(&[]);
    for image in ["base", "other", path, "./serpentarium/images/other.cwasm"] {
        assert_eq!(fuel(&["--image", image]), expected, "{image}");
    }
    home.output(&["bench", "x.py", "--image", "other", "--save", "main"]);
    home.output(&["profile", "x.py", "--image", "other"]);
}

#[tokio::test]
async fn instances_of_a_file_are_fresh_with_and_without_a_pool() {
    let Some(home) = Home::new() else { return };
    for pooled in [true, false] {
        let sandbox = Sandbox::builder().slots(1).pooled(pooled).image(&home.file).build().unwrap();
        assert_eq!(sandbox.image().codegen, "stock");
        for _ in 0..3 {
            let code =
                "import sys\nseen = hasattr(sys, 'mark')\nsys.mark = bytes(3_000_000)\nreturn seen";
            let outcome = sandbox.run(Program::new(code), NoHost).await;
            assert_eq!(outcome.result.unwrap().value.get(), "false");
        }
    }
}

#[tokio::test]
async fn a_locked_in_worker_runs_a_file() {
    let Some(home) = Home::new() else { return };
    let program = env!("CARGO_BIN_EXE_serpentarium").into();
    let (lockdown, image) = (Lockdown::Required, Some(home.file.clone()));
    let config = PoolConfig { workers: 1, slots: 4, program, lockdown, image };
    let pool = Pool::start(&config).unwrap();
    pool.ready().await.unwrap();
    // The worker has mapped the file.
    fs::remove_file(&home.file).unwrap();
    for _ in 0..3 {
        let outcome = pool.run(job("return sum(range(10))"), Arc::new(Echo::default())).await;
        assert_eq!(returned(&outcome), 45);
    }
}

fn refused(path: &Path) -> ImageError {
    match Sandbox::builder().slots(1).image(path).build() {
        Err(SandboxError::ImageFile(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_that_are_no_images_are_refused() {
    let Some(home) = Home::new() else { return };
    let bytes = fs::read(&home.file).unwrap();
    let other = home.directory.path().join("x.cwasm");
    for len in [0, 5, 4096, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&other, &bytes[..len]).unwrap();
        let error = refused(&other);
        assert!(matches!(error, ImageError::Form { .. }), "{error}");
        assert!(error.to_string().contains("or it is truncated"));
    }
    // A length of the manifest that is larger than the file.
    fs::write(&other, [&[0xff, 0xff, 0, 0], &b"SERPIMG1"[..]].concat()).unwrap();
    assert!(matches!(refused(&other), ImageError::Form { .. }));
    let missing = home.directory.path().join("no.cwasm");
    assert!(matches!(refused(&missing), ImageError::Read { .. }));
}

/// Writes a copy of the image whose manifest has another value.
fn with_manifest(home: &Home, key: &str, from: &str, to: &str) -> PathBuf {
    let bytes = fs::read(&home.file).unwrap();
    let (from, to) = (format!(r#""{key}":"{from}""#), format!(r#""{key}":"{to}""#));
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).rposition(|window| window == from.as_bytes()).unwrap();
    let copy = home.directory.path().join(format!("{key}.cwasm"));
    fs::write(&copy, [&bytes[..at], to.as_bytes(), &bytes[at + to.len()..]].concat()).unwrap();
    copy
}

#[test]
fn images_of_other_releases_and_machines_are_refused() {
    let Some(home) = Home::new() else { return };
    let release = env!("CARGO_PKG_VERSION");
    let other = "9".repeat(release.len());
    let error = refused(&with_manifest(&home, "release", release, &other));
    assert!(error.to_string().contains(&format!("was built for release {other}")), "{error}");
    let target =
        Sandbox::builder().slots(1).image(&home.file).build().unwrap().image().target.clone();
    let other = "z".repeat(target.len());
    let error = refused(&with_manifest(&home, "target", &target, &other));
    assert!(error.to_string().contains(&format!("holds code for {other}")), "{error}");
}

#[test]
fn files_that_others_can_write_are_refused() {
    let Some(home) = Home::new() else { return };
    for mode in [0o666, 0o664, 0o602] {
        allow(&home.file, mode);
        assert!(matches!(refused(&home.file), ImageError::Trust { .. }), "{mode:o}");
        let error = home.error(&["exec", "x.py", "--image", "other"]);
        assert!(error.contains("is not trusted") && error.contains("chmod go-w"), "{error}");
    }
    allow(&home.file, 0o400);
    drop(Sandbox::builder().slots(1).image(&home.file).build().unwrap());
}
