//! Progress bars, on stderr, for what takes longer than a blink.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use slapledger_core::domain::id::Sequence;

/// A count of bytes whose end is not known.
pub(crate) fn bytes(name: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template("{prefix:>10} {spinner} {bytes}  {bytes_per_sec}") {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A bar over events up to the end of the log. Nothing is drawn where stderr is no terminal.
pub(crate) fn bar(name: &str, end: Sequence) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(end.0), ProgressDrawTarget::stderr_with_hz(10));
    let template = "{prefix:>10} {bar:40} {human_pos}/{human_len} events  {per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
