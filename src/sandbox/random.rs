//! The randomness of a task.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// The operating system's randomness, or a stream that depends on a seed only.
pub(crate) enum Random {
    /// `getrandom(2)` on Linux.
    System,
    /// ChaCha8: its stream is the same on every machine.
    Seeded(Box<ChaCha8Rng>),
}

impl Random {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        seed.map_or(Self::System, |seed| Self::Seeded(Box::new(ChaCha8Rng::seed_from_u64(seed))))
    }

    /// Fills the buffer.
    ///
    /// # Errors
    /// The system has none to give.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> std::io::Result<()> {
        match self {
            Self::Seeded(generator) => generator.fill_bytes(buffer),
            Self::System => getrandom::fill(buffer)?,
        }
        Ok(())
    }
}
