//! What the program says besides its output: on standard error, as text or JSON.

use std::io;
use std::sync::OnceLock;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// How much is logged, and in which form.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Logging")]
pub(super) struct Logging {
    /// Least severity of log lines on standard error. Default: `RUST_LOG`, or warn
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<Level>,
    /// Form of log lines: text, or a JSON object each. Default: text
    #[arg(long, global = true, value_name = "FORM", env = "SLAPLEDGER_LOG_FORMAT")]
    log_format: Option<Form>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
}

/// What the command line says about logging, once it is read.
static LOGGING: OnceLock<Logging> = OnceLock::new();

/// Keeps what the command line says for the command that logs.
pub(super) fn configure(logging: &Logging) {
    // A second call (in a test) keeps the first.
    let _ = LOGGING.set(logging.clone());
}

/// Sends faults and what an operator wants to know to standard error.
pub(super) fn to_stderr() {
    let logging = LOGGING.get().cloned().unwrap_or_default();
    let level = logging.log_level.and_then(|level| level.to_possible_value());
    let filter = match level {
        Some(level) => EnvFilter::new(level.get_name()),
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")),
    };
    // A standard error that nobody reads is no error to report there.
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false);
    // A second call (in a test) keeps the first subscriber.
    let _ = match logging.log_format {
        Some(Form::Json) => subscriber.json().try_init(),
        Some(Form::Text) | None => subscriber.try_init(),
    };
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a thread panicked")));
}
