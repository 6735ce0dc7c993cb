//! Which parts of the lockdown hold, as a worker tells its parent.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// A part of the lockdown, in the order of application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Undumpable,
    NoNewPrivileges,
    Landlock,
    Limits,
    SystemCalls,
}

impl Part {
    pub(crate) const ALL: [Self; 5] =
        [Self::Undumpable, Self::NoNewPrivileges, Self::Landlock, Self::Limits, Self::SystemCalls];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Undumpable => "no core dumps",
            Self::NoNewPrivileges => "no new privileges",
            Self::Landlock => "Landlock",
            Self::Limits => "resource limits",
            Self::SystemCalls => "system call filter",
        })
    }
}

/// In the place of an error number: the system has no such part.
const UNSUPPORTED: i32 = -1;

/// Which parts hold. It has no text, because the worker that sends it may be compromised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct LockdownReport {
    /// The version of Landlock's interface that the worker uses; 0 for none.
    pub landlock: u16,
    /// For each of [`Part::ALL`] that does not hold, the error number (errno(3)).
    refused: [Option<i32>; Part::ALL.len()],
}

impl LockdownReport {
    /// Records the outcome of one part.
    pub(crate) fn record(&mut self, part: Part, outcome: io::Result<()>) {
        let refused = outcome.err().map(|error| error.raw_os_error().unwrap_or(UNSUPPORTED));
        if let Some(slot) = self.refused.get_mut(part as usize) {
            *slot = refused;
        }
    }

    fn parts(&self) -> impl Iterator<Item = (Part, Option<i32>)> {
        Part::ALL.into_iter().zip(self.refused)
    }

    /// Returns the parts that do not hold, with reasons. `None` if all hold.
    pub(crate) fn missing(&self) -> Option<String> {
        let missing: Vec<_> = self
            .parts()
            .filter_map(|(part, refused)| match refused? {
                UNSUPPORTED => Some(format!("{part} (not on this system)")),
                number => {
                    let error = io::Error::from_raw_os_error(number);
                    Some(format!("{part} ({error})"))
                }
            })
            .collect();
        (!missing.is_empty()).then(|| missing.join(", "))
    }

    /// Returns the parts that hold.
    pub(crate) fn held(&self) -> String {
        let held: Vec<_> = self
            .parts()
            .filter(|(_, refused)| refused.is_none())
            .map(|(part, _)| match part {
                Part::Landlock => format!("{part} (ABI {})", self.landlock),
                _ => part.to_string(),
            })
            .collect();
        if held.is_empty() { "nothing".into() } else { held.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_holds_and_what_is_missing() {
        let mut report = LockdownReport { landlock: 7, ..LockdownReport::default() };
        assert_eq!(report.missing(), None);
        assert_eq!(
            report.held(),
            "no core dumps, no new privileges, Landlock (ABI 7), resource limits, system call filter"
        );
        report.record(Part::Landlock, Err(io::Error::from_raw_os_error(libc::ENOSYS)));
        assert_eq!(report.missing().unwrap(), "Landlock (Function not implemented (os error 38))");
        assert!(!report.held().contains("Landlock"));
        for part in Part::ALL {
            report.record(part, Err(io::ErrorKind::Other.into()));
        }
        assert_eq!(report.held(), "nothing");
    }

    #[test]
    fn a_report_survives_the_pipe() {
        let mut report = LockdownReport { landlock: 3, ..LockdownReport::default() };
        report.record(Part::Limits, Err(io::Error::from_raw_os_error(libc::EPERM)));
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<LockdownReport>(&text).unwrap(), report);
    }
}
