//! `serpentarium image build`: packages that join an image, and their data files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::images::Home;

/// Returns the image kit; `None` if the image was not built here.
fn kit() -> Option<String> {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm/build/image-kit");
    if !kit.is_dir() {
        eprintln!("no image kit: the image was not built here");
        return None;
    }
    kit.into_os_string().into_string().ok()
}

/// Writes a wheel of pure Python into a directory: the package `name` with these files.
fn write_wheel(directory: &Path, name: &str, files: &[(&str, &str)]) {
    let script = r#"
import json, sys, zipfile
directory, name, files = sys.argv[1:]
info = f"{name}-1.0.dist-info"
files = {f"{name}/{file}": text for file, text in json.loads(files)} | {
    f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense: MIT\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{info}/entry_points.txt": f"[greeters]\nmine = {name}:greet\n",
}
record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
with zipfile.ZipFile(f"{directory}/{name}-1.0-py3-none-any.whl", "w") as wheel:
    for file, text in (files | {f"{info}/RECORD": record}).items():
        wheel.writestr(file, text)
"#;
    let arguments = [directory.to_str().unwrap(), name, &json!(files).to_string()];
    let status = Command::new("python3").args(["-c", script]).args(arguments).status().unwrap();
    assert!(status.success());
}

fn arguments<'a>(kit: &'a str, package: &'a str) -> [&'a str; 10] {
    ["image", "build", "-n", "mine", package, "--no-index", "--wheel", ".", "--kit", kit]
}

/// Runs a program on the image `mine`, and returns the report.
fn run(home: &Home, code: &str) -> Value {
    fs::write(home.directory.path().join("x.py"), code).unwrap();
    serde_json::from_str(&home.output(&["exec", "x.py", "--json", "--image", "mine"])).unwrap()
}

/// The file of the image `mine`, if it was written.
fn image(home: &Home) -> PathBuf {
    home.file.with_file_name("mine.cwasm")
}

const PACKAGE: [(&str, &str); 9] = [
    (
        "__init__.py",
        "\"\"\"Greets.\"\"\"\nimport os\nwith open(os.path.join(os.path.dirname(__file__), 'data', 'x.txt')) as f:\n    AT_IMPORT = f.read()\nSEEN = []\nfrom . import part\ndef greet(): return 'hello'\n",
    ),
    ("part.py", "VALUE = 7\n"),
    ("late.py", "assert True\nVALUE = 8\n"),
    ("broken.py", "def (\n"),
    ("needs_more.py", "import a_package_that_is_not_there\n"),
    ("data/x.txt", "from a file"),
    ("templates/a.html", "<p>"),
    ("space/inner.py", "VALUE = 9\n"),
    ("py.typed", ""),
];

#[test]
fn a_package_joins_with_its_modules_and_data_files() {
    let (Some(home), Some(kit)) = (Home::new(), kit()) else { return };
    write_wheel(home.directory.path(), "sound_one", &PACKAGE);
    home.output(&arguments(&kit, "sound_one"));
    let shown = home.output(&["image", "show", "mine"]);
    for text in ["sound_one", "MIT", "requests", "made from base"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    home.output(&["image", "verify", "mine"]);
    let versions = home.output(&["exec", "--version", "--verbose", "--image", "mine"]);
    assert!(versions.lines().any(|line| line == "package sound_one 1.0"), "{versions}");
    let lock = fs::read_to_string(home.file.with_file_name("mine.lock")).unwrap();
    assert!(lock.starts_with("sound_one==1.0 --hash=sha256:"), "{lock}");

    for _ in 0..2 {
        let report = run(
            &home,
            "import sound_one\nsound_one.SEEN.append(1)\nreturn [len(sound_one.SEEN), sound_one.part.VALUE, sound_one.AT_IMPORT]",
        );
        assert_eq!(report["result"], json!([1, 7, "from a file"]));
        // An import that runs code costs far more.
        assert!(report["fuel"].as_u64().unwrap() < 600_000, "{report}");
    }
    let site = "/usr/lib/python3.13/site-packages/sound_one";
    for (code, expected) in [
        (
            "import sound_one.late\nreturn [sound_one.late.VALUE, sound_one.late.__file__]",
            json!([8, format!("{site}/late.py")]),
        ),
        (
            "import sound_one.space.inner as i\nreturn [i.VALUE, i.__package__]",
            json!([9, "sound_one.space"]),
        ),
        (
            "import importlib.resources as r\nreturn [r.files('sound_one').joinpath('data/x.txt').read_text(), sorted(p.name for p in r.files('sound_one.templates').iterdir())]",
            json!(["from a file", ["a.html"]]),
        ),
        (
            "import pkgutil\nreturn [pkgutil.get_data('sound_one', 'templates/a.html').decode(), sorted(m.name for m in pkgutil.iter_modules(__import__('sound_one').__path__))]",
            json!(["<p>", ["broken", "late", "needs_more", "part"]]),
        ),
        (
            "import importlib.metadata as m\n[e] = m.entry_points(group='greeters')\nreturn [m.version('sound_one'), m.version('requests'), e.load()(), m.metadata('sound-one')['License']]",
            json!(["1.0", "2.34.2", "hello", "MIT"]),
        ),
        (
            "import sound_one, inspect\nreturn [sound_one.__doc__, inspect.getsource(sound_one.greet), sound_one.__spec__.origin]",
            json!(["Greets.", "def greet(): return 'hello'\n", format!("{site}/__init__.py")]),
        ),
        (
            "try:\n    import sound_one.broken\nexcept SyntaxError as e:\n    return str(e)",
            json!("invalid syntax (broken.py, line 1)"),
        ),
        (
            "try:\n    import sound_one.needs_more\nexcept ModuleNotFoundError as e:\n    return e.name",
            json!("a_package_that_is_not_there"),
        ),
        (
            "import sound_one\ntry:\n    open(sound_one.__path__[0] + '/data/x.txt', 'a')\nexcept OSError as e:\n    return e.strerror",
            json!("Read-only file system"),
        ),
    ] {
        assert_eq!(run(&home, code)["result"], expected, "{code}");
    }
}

#[test]
fn a_package_that_cannot_join_makes_no_image() {
    let (Some(home), Some(kit)) = (Home::new(), kit()) else { return };
    let module = ("__init__.py", "raise ValueError('no luck')\n");
    write_wheel(home.directory.path(), "broken_one", &[module]);
    let failed = home.run(&arguments(&kit, "broken_one"));
    let text = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success() && text.contains("ValueError: no luck"), "{text}");
    let library = ("lib.so", "\u{7f}ELF");
    write_wheel(home.directory.path(), "native_one", &[("__init__.py", ""), library]);
    let text = home.error(&arguments(&kit, "native_one"));
    assert!(text.contains("native_one 1.0 has native code (native_one/lib.so)"), "{text}");
    let text = home.error(&arguments(&kit, "absent_one"));
    assert!(text.contains("absent_one has no wheel of pure Python"), "{text}");
    assert!(text.contains("--allow-sdist"), "{text}");
    let mut other_base = arguments(&kit, "broken_one").to_vec();
    other_base.extend(["--base", "nothing"]);
    let text = home.error(&other_base);
    assert!(text.contains("no image kit for the base `nothing`; there are: base"), "{text}");
    assert!(!image(&home).exists());
}
