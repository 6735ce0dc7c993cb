//! The error for a refused value: one line that names the variable or flag to change.

use clap::{
    Arg, Command, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::config::SECRET_VARS;

/// Returns one line for a refused value: its flag or variable, the value, and the allowed values.
/// `None` for any other error. `words` is the command line: clap does not tell whether a value came
/// from a flag or a variable.
pub(crate) fn explain(mut command: Command, error: &Error, words: &[String]) -> Option<String> {
    if error.kind() != ErrorKind::ValueValidation {
        return None;
    }
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else {
        return None;
    };
    let allowed = std::error::Error::source(error)?;
    command.build();
    let mut arguments = Vec::new();
    collect(&command, shown, &mut arguments);
    let flag = match arguments.first()?.get_long() {
        Some(long) => format!("--{long}"),
        None => shown.trim_matches(['<', '>']).to_owned(),
    };
    let is_flag = |word: &String| {
        word.strip_prefix(&flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    let name = match arguments.iter().find_map(|arg| arg.get_env()) {
        Some(variable) if !words.iter().any(is_flag) => variable.to_string_lossy().into_owned(),
        _ => flag,
    };
    let is_secret = arguments
        .iter()
        .filter_map(|arg| arg.get_env()?.to_str())
        .any(|name| SECRET_VARS.contains(&name));
    // A URI may contain a password.
    let value = if is_secret || value.contains('@') {
        "…".into()
    } else {
        value.escape_debug().to_string()
    };
    Some(format!("{name} is '{value}': {allowed}"))
}

/// Collects the arguments that clap shows as `shown`, in the command and its subcommands.
fn collect<'a>(command: &'a Command, shown: &str, found: &mut Vec<&'a Arg>) {
    found.extend(command.get_arguments().filter(|arg| arg.to_string() == shown));
    for subcommand in command.get_subcommands() {
        collect(subcommand, shown, found);
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Parser};

    use super::*;
    use crate::config::RunnerArgs;

    #[derive(Debug, Parser)]
    struct RunnerCli {
        #[command(flatten)]
        _args: RunnerArgs,
    }

    fn explained(words: &[&str]) -> Option<String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let command = RunnerArgs::augment_args(Command::new("runner"));
        explain(command, &RunnerCli::try_parse_from(&words).unwrap_err(), &words)
    }

    #[test]
    fn a_bad_flag_is_named_with_its_value_and_the_allowed_ones() {
        let expected = Some(
            "--max-concurrency is '0': must be a whole number above 0, at most 10000".to_owned(),
        );
        assert_eq!(explained(&["runner", "--max-concurrency", "0"]), expected);
        assert_eq!(explained(&["runner", "--max-concurrency=0"]), expected);
        assert!(
            explained(&["runner", "--fuel=many"]).unwrap().starts_with("--fuel is 'many': must be")
        );
    }

    #[test]
    fn other_errors_are_left_to_clap() {
        assert_eq!(explained(&["runner", "--no-such-flag"]), None);
    }
}
