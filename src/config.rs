//! The settings: each has its name, default, range and help in one definition, which makes both
//! the flag and the environment variable.
//!
//! | file | owns |
//! |---|---|
//! | `args` | [`RunnerArgs`]: the settings of `serpentarium runner` as clap arguments |
//! | `limits`, `policy`, `sentry` | the groups of settings in it |
//! | `values` | a parser for each kind of value, with the error text |
//! | `files` | [`SettingFiles`]: the values of variables `NAME_FILE` |
//! | `runner` | [`RunnerArgs::config`]: checks across settings, makes the runner's configuration |
//! | `variables` | variables that may be empty or are secret |
//! | `image` | [`ImageChoice`]: the image of tasks |
//! | `terminal` | `NO_COLOR` |
//!
//! Apart from clap arguments of `cli`, no other module reads the environment.

mod args;
mod files;
mod image;
mod limits;
mod policy;
mod runner;
mod sentry;
mod terminal;
mod values;
mod variables;

pub(crate) use args::RunnerArgs;
pub(crate) use files::SettingFiles;
pub(crate) use image::{EMBEDDED, ImageChoice, file_name, image, image_directories, user_images};
pub(crate) use sentry::SentryConfig;
pub(crate) use terminal::colour;
pub(crate) use values::{local_timezone, memory, size};
pub(crate) use variables::{EXTERNAL_ALLOW_VAR, MAY_BE_EMPTY, SECRET_VARS, STDLIB_ALLOW_VAR};
