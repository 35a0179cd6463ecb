//! What a command that opens a folder has to say besides its output: on stderr, as `serve` says it.

/// Faults and what an operator wants to know go to stderr; `RUST_LOG` says how much of it.
pub(super) fn to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // A second call (in a test) keeps the first subscriber.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a thread panicked")));
}
