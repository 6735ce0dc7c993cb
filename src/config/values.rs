//! One parser for each kind of value, with the error text for a bad one.

use std::{collections::BTreeSet, num::NonZeroUsize, str::FromStr, time::Duration};

use bytesize::ByteSize;
use reqwest::Url;
use tracing::level_filters::LevelFilter;

use crate::{logging::LogFormat, sandbox::MAX_MEMORY, workers::Lockdown};

/// Bytes of standard error, at most: escaped as JSON they must fit into one frame between worker
/// and runner.
const MAX_STDERR: u64 = 512 << 10;

/// Bytes of the least memory limit. The interpreter takes about 39 MiB, and user code needs some.
const MIN_MEMORY: u64 = 64 << 20;

/// The values that a setting allows. The error text of a bad value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub(crate) struct Allowed(&'static str);

impl Allowed {
    /// Takes the text that completes "must be …".
    pub(crate) const fn new(values: &'static str) -> Self {
        Self(values)
    }
}

pub(crate) fn broker_uri(text: &str) -> Result<Url, Allowed> {
    let allowed = Allowed("an http:// or https:// address such as http://127.0.0.1:5679");
    let uri = Url::parse(text.trim()).map_err(|_| allowed)?;
    let plain = uri.has_host() && uri.username().is_empty() && uri.password().is_none();
    if plain && matches!(uri.scheme(), "http" | "https") { Ok(uri) } else { Err(allowed) }
}

fn number<T: FromStr>(text: &str, allowed: Allowed) -> Result<T, Allowed> {
    text.trim().parse().map_err(|_| allowed)
}

pub(crate) fn count(text: &str) -> Result<NonZeroUsize, Allowed> {
    /// Largest number of tasks or workers. Each concurrent task reserves 4 GiB of a worker's
    /// address space of 128 TiB.
    const MAX_COUNT: usize = 10_000;
    let allowed = Allowed("a whole number above 0, at most 10000");
    let count = number::<NonZeroUsize>(text, allowed)?;
    if count.get() <= MAX_COUNT { Ok(count) } else { Err(allowed) }
}

pub(crate) fn calls(text: &str) -> Result<u32, Allowed> {
    number(text, Allowed("a whole number from 0 to 4294967295"))
}

pub(crate) fn seconds(text: &str) -> Result<Duration, Allowed> {
    /// Longest time in seconds, 30 days: above any use, and no clock overflows.
    const MAX_SECONDS: f64 = 2_592_000.0;
    let allowed = Allowed("a number of seconds above 0, at most 2592000 (30 days)");
    let value: f64 = number(text, allowed)?;
    if (0.001..=MAX_SECONDS).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(allowed)
    }
}

pub(crate) fn seconds_or_never(text: &str) -> Result<Duration, Allowed> {
    match text.trim().parse() {
        Ok(0.0) => Ok(Duration::ZERO),
        _ => seconds(text)
            .map_err(|_| Allowed("a number of seconds, at most 2592000 (30 days), or 0 for never")),
    }
}

pub(crate) fn boolean(text: &str) -> Result<bool, Allowed> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Allowed("true or false")),
    }
}

pub(crate) fn port(text: &str) -> Result<u16, Allowed> {
    number(text, Allowed("a port from 0 to 65535; 0 picks a free one"))
}

pub(crate) fn size(text: &str) -> Result<u64, Allowed> {
    let allowed = Allowed("a size above 0, in bytes or with a unit, such as 64MiB");
    let bytes = number::<ByteSize>(text, allowed)?.as_u64();
    if bytes > 0 { Ok(bytes) } else { Err(allowed) }
}

pub(crate) fn payload(text: &str) -> Result<u64, Allowed> {
    /// Bytes of the least payload limit. The messages of a registration must fit, or no connection
    /// succeeds.
    const MIN_PAYLOAD: u64 = 256;
    let allowed = Allowed("a size above 0, at least 256B, in bytes or with a unit, such as 64MiB");
    let bytes = number::<ByteSize>(text, allowed)?.as_u64();
    if bytes >= MIN_PAYLOAD { Ok(bytes) } else { Err(allowed) }
}

pub(crate) fn stderr(text: &str) -> Result<u64, Allowed> {
    let allowed = Allowed("a size from 1B to 512KiB, such as 64KiB");
    let bytes = number::<ByteSize>(text, allowed)?.as_u64();
    if (1..=MAX_STDERR).contains(&bytes) { Ok(bytes) } else { Err(allowed) }
}

pub(crate) fn memory(text: &str) -> Result<u64, Allowed> {
    let allowed = Allowed("a size from 64MiB to 4GiB, such as 512MiB");
    let bytes = number::<ByteSize>(text, allowed)?.as_u64();
    if (MIN_MEMORY..=MAX_MEMORY).contains(&bytes) { Ok(bytes) } else { Err(allowed) }
}

pub(crate) fn log_level(text: &str) -> Result<LevelFilter, Allowed> {
    Ok(match text.trim().to_ascii_lowercase().as_str() {
        "error" | "critical" => LevelFilter::ERROR,
        "warn" | "warning" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        "silent" | "off" => LevelFilter::OFF,
        _ => return Err(Allowed("one of error, warn, info, debug, trace, silent")),
    })
}

/// Checks the form of a time zone's name. The guest, which has the time zone data, checks the rest.
/// Reads a zone of local time. `None` for an empty one. Checks nothing else: the guest has the
/// zones, and warns of an unknown one.
pub(crate) fn local_timezone(text: Option<&str>) -> Option<String> {
    text.map(str::trim).filter(|zone| !zone.is_empty()).map(str::to_owned)
}

pub(crate) fn time_zone(text: &str) -> Result<String, Allowed> {
    let name = text.trim();
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
    if plain && (1..=64).contains(&name.len()) {
        Ok(name.into())
    } else {
        Err(Allowed("the name of a time zone, such as Europe/Berlin"))
    }
}

pub(crate) fn log_format(text: &str) -> Result<LogFormat, Allowed> {
    match text.trim().to_ascii_lowercase().as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Allowed("text or json")),
    }
}

pub(crate) fn lockdown(text: &str) -> Result<Lockdown, Allowed> {
    let allowed = Allowed("required, best-effort or off");
    text.trim().to_ascii_lowercase().parse().map_err(|_| allowed)
}

/// The names of an allow or deny list: modules, packages or functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names(pub(crate) BTreeSet<String>);

/// Reads an allow list: names are trimmed, empty ones dropped. `*` is valid only alone.
pub(crate) fn allow_list(text: &str) -> Result<Names, Allowed> {
    let names = deny_list(text)?;
    if names.0.len() > 1 && names.0.contains("*") {
        return Err(Allowed("a comma-separated list of modules, or * alone for all of them"));
    }
    Ok(names)
}

/// Reads a deny list: like an allow list, but `*` has no special meaning.
pub(crate) fn deny_list(text: &str) -> Result<Names, Allowed> {
    Ok(Names(
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        allow_list(text).unwrap().0.into_iter().collect()
    }

    #[test]
    fn a_list_is_trimmed_and_keeps_case_and_dots() {
        assert_eq!(names(" json, ,os.path,\tPIL ,json"), ["PIL", "json", "os.path"]);
        assert_eq!(names(""), [""; 0]);
        assert_eq!(names(" * "), ["*"]);
    }

    #[test]
    fn a_star_among_others_is_refused() {
        assert!(allow_list("json,*").is_err());
        assert!(deny_list("json,*").is_ok());
    }

    #[test]
    fn a_boolean_has_eight_spellings() {
        assert!(["true", "1", "YES", " on "].iter().all(|text| boolean(text) == Ok(true)));
        assert!(["false", "0", "No", "off"].iter().all(|text| boolean(text) == Ok(false)));
        assert!(["", "maybe", "2"].iter().all(|text| boolean(text).is_err()));
    }

    proptest! {
        #[test]
        fn every_name_of_a_list_is_in_it(
            list in prop::collection::vec("[a-zA-Z_.]{1,8}", 0..8),
            space in " {0,2}",
        ) {
            let text = list.iter().map(|name| format!("{space}{name}{space},")).collect::<String>();
            let expected: BTreeSet<_> = list.into_iter().collect();
            prop_assert_eq!(allow_list(&text).unwrap().0, expected);
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in ".*") {
            let _ = (seconds(&text), size(&text), memory(&text), boolean(&text), port(&text));
            let _ = (allow_list(&text), broker_uri(&text), log_level(&text), count(&text));
        }
    }
}
