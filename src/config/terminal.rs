//! Preferences for terminal output, from the environment.

/// Returns whether output to a terminal may have colours. False if `NO_COLOR` is set to a non-empty
/// value (<https://no-color.org>).
pub(crate) fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
