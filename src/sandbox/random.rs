//! The randomness that a task sees.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// The machine's randomness, or a stream that is the same for the same seed everywhere.
pub(crate) enum Random {
    /// The operating system's generator.
    System,
    /// ChaCha with 8 rounds.
    Seeded(Box<ChaCha8Rng>),
}

impl Random {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        seed.map_or(Self::System, |seed| Self::Seeded(Box::new(ChaCha8Rng::seed_from_u64(seed))))
    }

    /// Fills the buffer.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub(crate) fn fill(&mut self, mut buffer: &mut [u8]) -> std::io::Result<()> {
        match self {
            Self::Seeded(generator) => generator.fill_bytes(buffer),
            Self::System => {
                while !buffer.is_empty() {
                    let filled = rustix::rand::getrandom(
                        &mut *buffer,
                        rustix::rand::GetRandomFlags::empty(),
                    )?;
                    buffer = &mut buffer[filled..];
                }
            }
        }
        Ok(())
    }
}
