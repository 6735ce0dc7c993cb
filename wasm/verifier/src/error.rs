//! Why an image cannot be examined at all.

use std::fmt;

/// The image is not one that the verifier can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The file ends before its content does, or an offset leads out of it.
    Truncated,
    /// The file is not an image of the expected form.
    Malformed(&'static str),
    /// No module of the verifier knows this `e_machine`.
    Machine(u16),
    /// The code generator was the stock one, which keeps no register for the base of memory.
    Stock,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the image is truncated"),
            Self::Malformed(reason) => write!(f, "the image cannot be read: {reason}"),
            Self::Machine(machine) => write!(f, "no rules for the machine {machine} (e_machine)"),
            Self::Stock => write!(
                f,
                "the image is by the stock code generator; only images by the patched one are verified"
            ),
        }
    }
}

impl std::error::Error for Error {}
