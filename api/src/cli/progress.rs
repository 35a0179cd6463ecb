//! Progress bars, on stderr, for what takes longer than a blink.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
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

/// A bar for each view that catches up, taken away when it has.
pub(crate) fn of_views() -> impl Fn(&'static str, Sequence) -> Box<dyn FnMut(Sequence)> + Sync {
    let bars = MultiProgress::new();
    move |view, end| {
        let bar = Cleared(bars.add(bar(view, end)));
        Box::new(move |reached| bar.0.set_position(reached.0))
    }
}

/// A bar that is taken away at its end.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
