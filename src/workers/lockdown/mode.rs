//! How much of the lockdown the operating system must grant.

use std::{fmt, str::FromStr};

/// How much the operating system must lock a worker in.
///
/// Its text form is `required`, `best-effort` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lockdown {
    /// Workers run no job unless each part of the lockdown holds.
    Required,
    /// Workers apply the parts that the kernel and the container grant. The log names the others.
    #[default]
    BestEffort,
    /// Workers apply nothing. For debuggers, which the lockdown refuses.
    Off,
}

/// A text names no [`Lockdown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be required, best-effort or off")]
pub struct UnknownLockdown;

impl Lockdown {
    const ALL: [Self; 3] = [Self::Required, Self::BestEffort, Self::Off];

    fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::BestEffort => "best-effort",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Lockdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Lockdown {
    type Err = UnknownLockdown;

    fn from_str(text: &str) -> Result<Self, UnknownLockdown> {
        Self::ALL.into_iter().find(|mode| mode.name() == text).ok_or(UnknownLockdown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_reads_what_it_writes() {
        for mode in Lockdown::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert_eq!("Off".parse::<Lockdown>(), Err(UnknownLockdown));
    }
}
