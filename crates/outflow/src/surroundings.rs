//! What comes from outside the program: environment variables, the time of day, randomness, the log's place.

use std::{io::IsTerminal as _, path::PathBuf, sync::Arc};

use clap::ValueEnum as _;
use jiff::Timestamp;
use rand::TryRng as _;
use records::{Clock, Random};
use telemetry::{JsonLines, LogLayer};
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::arguments::{Global, LogFormat};

/// An environment variable. The one place that reads them.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The computer's clock.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the computer's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The system's source of randomness.
#[derive(Debug)]
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn next(&self) -> u64 {
        // Without randomness ids could repeat; the clock's nanoseconds are the next best.
        let nanoseconds = || SystemClock.now().as_nanosecond();
        rand::rngs::SysRng
            .try_next_u64()
            .unwrap_or_else(|_| u64::try_from(nanoseconds() & i128::from(u64::MAX)).unwrap_or(0))
    }
}

/// Where this program is, if a shell would not find it by its name.
pub(crate) fn program_outside_path() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let path = variable("PATH").unwrap_or_default();
    let is_found = std::env::split_paths(&path).any(|folder| folder.join("outflow").is_file());
    (!is_found).then_some(program)
}

/// Opens a page in the person's browser. False if none can be started.
pub(crate) fn open_in_browser(url: &str) -> bool {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let silent = std::process::Stdio::null;
    let started = std::process::Command::new(opener).arg(url).stdin(silent()).stdout(silent()).stderr(silent()).spawn();
    // It goes on by itself; nobody waits for it.
    started.is_ok()
}

/// Whether the person at the other end sees colours.
pub(crate) fn wants_color(global: &Global) -> bool {
    use crate::arguments::Color;
    match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            std::io::stdout().is_terminal()
                && variable("NO_COLOR").is_none_or(|value| value.is_empty())
                && variable("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// Sends the log to stderr. `--log` or `OUTFLOW_LOG` say how much: `debug`, `outflow=trace,warn`; `--log-format` or
/// `OUTFLOW_LOG_FORMAT` say how.
pub(crate) fn start_log(global: &Global) {
    let wanted = global.log.clone().or_else(|| variable("OUTFLOW_LOG")).unwrap_or_else(|| "error".to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|_| EnvFilter::new("error"));
    let named = || variable("OUTFLOW_LOG_FORMAT").and_then(|name| LogFormat::from_str(&name, true).ok());
    let lines = match global.log_format.or_else(named).unwrap_or(LogFormat::Text) {
        LogFormat::Text => {
            let is_terminal = std::io::stderr().is_terminal();
            tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(is_terminal).boxed()
        }
        LogFormat::Json => LogLayer::new(JsonLines::new(std::io::stderr()), Arc::new(SystemClock)).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}
