//! Reads the files in a reply. The guest is not trusted: their number, bytes, paths and base64 are
//! checked, and nothing is allocated by a size that it states.

use std::{borrow::Cow, cell::Cell, collections::HashSet, fmt};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};

use super::{
    files::{TaskFile, TaskPath},
    limits::{Exceeded, Limits},
    outcome::Failure,
};

/// The files that a task may hand back.
#[derive(Debug, Default)]
pub(crate) struct AllowedFiles {
    /// The directories below which they lie.
    directories: Vec<TaskPath>,
    number: u32,
    bytes: u64,
}

impl AllowedFiles {
    pub(crate) fn new(directories: Vec<TaskPath>, limits: &Limits) -> Self {
        Self { directories, number: limits.out_files, bytes: limits.out_bytes }
    }

    /// Reads the JSON list of a reply.
    ///
    /// # Errors
    /// [`Failure::Exceeded`] for too many files or bytes, [`Failure::Broken`] for anything that the
    /// guest package does not send.
    pub(crate) fn read(&self, json: &str) -> Result<Vec<TaskFile>, Failure> {
        if self.directories.is_empty() {
            return Err(Failure::Broken(
                "the guest's output has files, which nobody wanted".into(),
            ));
        }
        let exceeded = Cell::new(None);
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let list = FileList { allowed: self, exceeded: &exceeded };
        list.deserialize(&mut deserializer).map_err(|error| match exceeded.get() {
            Some(limit) => Failure::Exceeded(limit),
            None => Failure::Broken(format!("a file in the guest's output: {error}")),
        })
    }

    fn check(&self, path: &str) -> Result<TaskPath, &'static str> {
        let path = TaskPath::absolute(path).map_err(|_| "its path has not the agreed form")?;
        if self.directories.iter().any(|directory| path.below(directory).is_some()) {
            Ok(path)
        } else {
            Err("its path is not below a directory whose files were asked for")
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    /// Base64 needs no escapes.
    data: &'a str,
}

/// Reads the list, and records the limit that ended it.
struct FileList<'a> {
    allowed: &'a AllowedFiles,
    exceeded: &'a Cell<Option<Exceeded>>,
}

impl FileList<'_> {
    fn exceeds<E: Error>(&self, limit: Exceeded) -> E {
        self.exceeded.set(Some(limit));
        E::custom(limit)
    }
}

impl<'de> DeserializeSeed<'de> for FileList<'_> {
    type Value = Vec<TaskFile>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for FileList<'_> {
    type Value = Vec<TaskFile>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of files")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (number, most) = (self.allowed.number, self.allowed.bytes);
        let mut files: Vec<TaskFile> = Vec::new();
        let mut paths = HashSet::new();
        let mut total = 0;
        while let Some(RawFile { path, data }) = list.next_element()? {
            if files.len() as u64 >= u64::from(number) {
                return Err(self.exceeds(Exceeded::OutFiles(number)));
            }
            // Four characters are three bytes, except at the end.
            total += (data.len() as u64 / 4 * 3).saturating_sub(2);
            if total > most {
                return Err(self.exceeds(Exceeded::OutBytes(most)));
            }
            let path = self.allowed.check(&path).map_err(A::Error::custom)?;
            let bytes =
                BASE64_STANDARD.decode(data).map_err(|_| A::Error::custom("it is no base64"))?;
            total += bytes.len() as u64 - (data.len() as u64 / 4 * 3).saturating_sub(2);
            if total > most {
                return Err(self.exceeds(Exceeded::OutBytes(most)));
            }
            if !paths.insert(path.clone()) {
                return Err(A::Error::custom("two files have one path"));
            }
            files.push(TaskFile::new(path, bytes.into()));
        }
        if files.iter().any(|file| file.path.directories().any(|name| paths.contains(name))) {
            return Err(A::Error::custom("it lies below another file"));
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allowed(number: u32, bytes: u64) -> AllowedFiles {
        let limits = Limits::default().out_files(number).out_bytes(bytes);
        AllowedFiles::new(vec![TaskPath::new("/out").unwrap()], &limits)
    }

    fn list(files: &[(&str, &str)]) -> String {
        let files: Vec<_> = files
            .iter()
            .map(|(path, data)| serde_json::json!({"path": path, "data": data}))
            .collect();
        serde_json::to_string(&files).unwrap()
    }

    /// Reads files. Returns paths and contents, or the failure's text.
    fn read(json: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
        let files = allowed(3, 6).read(json).map_err(|failure| failure.to_string())?;
        Ok(files.iter().map(|file| (file.path.to_string(), file.bytes.to_vec())).collect())
    }

    #[test]
    fn files_are_read_in_their_order() {
        let files = read(&list(&[("/out/ä/b", "AP8="), ("/out/B", ""), ("/out/b", "YWJj")]));
        let expected = [("/out/ä/b", &b"\0\xff"[..]), ("/out/B", b""), ("/out/b", b"abc")];
        assert_eq!(files.unwrap(), expected.map(|(path, data)| (path.into(), data.into())));
        assert_eq!(read("[]"), Ok(vec![]));
        assert_eq!(read(r#"[{"data":"","path":"/out/\u00e4"}]"#).unwrap()[0].0, "/out/ä");
    }

    #[test]
    fn the_number_of_returned_files_obeyed() {
        assert_eq!(
            read(&list(&[("/out/1", ""), ("/out/2", ""), ("/out/3", "")])).unwrap().len(),
            3
        );
    }

    #[test]
    fn the_number_of_returned_files_violated() {
        let files = [("/out/1", ""), ("/out/2", ""), ("/out/3", ""), ("/out/4", "")];
        assert_eq!(read(&list(&files)).unwrap_err(), Exceeded::OutFiles(3).to_string());
        // The rest is not read.
        let endless = list(&files).replace(']', ",");
        assert_eq!(read(&endless).unwrap_err(), Exceeded::OutFiles(3).to_string());
        assert!(allowed(0, 6).read(&list(&files[..1])).is_err());
    }

    #[test]
    fn bytes_of_returned_files_obeyed() {
        assert_eq!(read(&list(&[("/out/1", "YWJj"), ("/out/2", "YWJj")])).unwrap().len(), 2);
        assert_eq!(read(&list(&[("/out/1", "YWJjZA=="), ("/out/2", "YQ==")])).unwrap().len(), 2);
    }

    #[test]
    fn bytes_of_returned_files_violated() {
        for data in [["YWJj", "YWJjZA=="], ["YWJjYWJjYWJj", ""], ["YQ==", "YWJjYWJj"]] {
            let files = list(&[("/out/1", data[0]), ("/out/2", data[1])]);
            assert_eq!(read(&files).unwrap_err(), Exceeded::OutBytes(6).to_string(), "{data:?}");
        }
    }

    #[test]
    fn hostile_paths_are_refused() {
        for path in [
            "",
            "/",
            "out/a",
            "/out",
            "/out/",
            "/out//a",
            "/out/../a",
            "/out/..",
            "/out/.",
            "/out/a/../../b",
            "/outside",
            "/Out/a",
            "/etc/passwd",
            "../a",
            "/out/a\0b",
            "/out/a\nb",
            "/out/\x1b[2J",
            "/out/\u{9b}",
        ] {
            let error = read(&list(&[(path, "")])).unwrap_err();
            assert!(error.contains("its path"), "{path:?}: {error}");
        }
        let long = format!("/out/{}", "a".repeat(256));
        assert!(read(&list(&[(&long, "")])).is_err());
        let deep = format!("/out{}", "/a".repeat(2048));
        assert!(read(&list(&[(&deep, "")])).is_err());
    }

    #[test]
    fn paths_that_cannot_be_together_are_refused() {
        let error = |first, second| read(&list(&[(first, ""), (second, "")])).unwrap_err();
        assert!(error("/out/a", "/out/a").contains("two files have one path"));
        assert!(error("/out/a", "/out/a/b/c").contains("it lies below another file"));
        assert!(error("/out/a/b", "/out/a").contains("it lies below another file"));
    }

    #[test]
    fn bad_base64_is_refused() {
        for data in ["a", "YWJ", "YWJj\n", "YW-_", "YWJj=", "YR==", "=", "YQ==YQ==", "é", "YQ=="] {
            let result = read(&list(&[("/out/a", data)]));
            assert_eq!(result.is_ok(), data == "YQ==", "{data}: {result:?}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for json in [
            "null",
            "1",
            "{}",
            "[1]",
            "[[]]",
            r#"[{"path":"/out/a"}]"#,
            r#"[{"data":""}]"#,
            r#"[{"path":"/out/a","data":"","mode":1}]"#,
            r#"[{"path":"/out/a","data":[1]}]"#,
            r#"[{"path":1,"data":""}]"#,
            r#"[{"path":"/out/a","data":"\u0059Q=="}]"#,
            r#"[{"path":"/out/\ud800","data":""}]"#,
            r#"[{"path":"/out/a","path":"/out/b","data":""}]"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn files_that_were_not_asked_for_are_refused() {
        let none = AllowedFiles::new(Vec::new(), &Limits::default());
        assert!(matches!(none.read(&list(&[("/out/a", "")])), Err(Failure::Broken(_))));
    }

    proptest! {
        #[test]
        fn whatever_is_read_lies_below_the_directory(path in "[/.a-c\\\\\u{1}]{0,12}") {
            let allowed = allowed(1, 1);
            if let Ok(files) = allowed.read(&list(&[(&format!("/out{path}"), "")])) {
                let relative = files[0].path.as_str().strip_prefix("/out/").unwrap();
                let mut names = relative.split('/');
                prop_assert!(names.all(|name| !matches!(name, "" | "." | "..")));
            }
        }
    }
}
