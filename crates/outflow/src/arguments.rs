//! The command line: what can be asked, and the help about it.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

use crate::commands::Command;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line is wrong
  3  partly delivered: some records were not taken; the next sync finds them again
  4  held by a guard: look at it with `outflow plan`, release it with `outflow sync --yes`

Try `outflow demo` to see it work in seconds, then `outflow init` for a project of your own.";

/// Keeps tools equal to your warehouse: runs SQL models, finds what changed, delivers it record by record.
#[derive(Debug, Parser)]
#[command(name = "outflow", version, after_help = EXIT_CODES, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The project's folder, which holds `outflow.yaml`.
    #[arg(long, short = 'p', global = true, value_name = "DIR", default_value = ".", help_heading = "Global options")]
    pub(crate) project: PathBuf,
    /// Text for people, or one JSON document on stdout.
    #[arg(long, short = 'o', global = true, value_enum, default_value = "text", help_heading = "Global options")]
    pub(crate) output: Format,
    /// How much to log on stderr: `error`, `warn`, `info`, `debug`, or a filter such as `kit=debug`.
    #[arg(long, global = true, value_name = "FILTER", help_heading = "Global options")]
    pub(crate) log: Option<String>,
    /// How to log: `text` for people, or `json` with an object a line. Default: `text`, or `OUTFLOW_LOG_FORMAT`.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", help_heading = "Global options")]
    pub(crate) log_format: Option<LogFormat>,
    /// Whether to use colours.
    #[arg(long, global = true, value_enum, default_value = "auto", help_heading = "Global options")]
    pub(crate) color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}
