//! Doors for fuzz/: replies, and host calls of a small guest.

use super::{
    HostCalls, Job, Limits, Outcome, Sandbox, SandboxError, TaskPath, depth, engine,
    outcome::Completed, reply, returned_files::AllowedFiles,
};

/// A parsed reply: value and effects, or how it failed.
pub type Parsed = Result<(String, Option<String>), String>;

/// Returns whether a JSON text nests deeper than `limit` levels.
pub fn is_deeper_than(json: &str, limit: usize) -> bool {
    depth::is_deeper_than(json.as_bytes(), limit)
}

/// Parses a reply, which may hand back files below `/out`.
pub fn parse_reply(stdout: Vec<u8>) -> Parsed {
    let text = |raw: &serde_json::value::RawValue| raw.get().to_owned();
    let out = TaskPath::absolute("/out").into_iter().collect();
    match reply::parse(stdout, &AllowedFiles::new(out, &Limits::default())) {
        Ok(Completed { value, effects, .. }) => Ok((text(&value), effects.as_deref().map(text))),
        Err(failure) => Err(format!("{failure:?}")),
    }
}

/// A guest other than Python.
pub struct Guest(Sandbox);

impl Guest {
    /// Loads an image.
    ///
    /// # Safety
    /// wasmtime made the image from a module, or refuses it.
    pub unsafe fn load(image: &[u8]) -> Result<Self, SandboxError> {
        // SAFETY: the caller promises it.
        Ok(Self(Sandbox::with_guest(unsafe { engine::load_guest(image) }?)))
    }

    /// Runs a deterministic job with this input.
    pub async fn run(
        &self,
        input: &[u8],
        limits: Limits,
        host: impl HostCalls + 'static,
    ) -> Outcome {
        self.0.run(Job::new(input.to_vec(), limits).seed(1), host).await
    }
}
