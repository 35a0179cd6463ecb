//! Printing for people. A reader may close the pipe (`slapledger demo 2>&1 | head`): the program goes on, where the
//! macros of the standard library would panic.
//!
//! Titles, errors and connection parameters come from others. What a terminal would obey, or show as something else, is
//! printed as JSON escapes it, which is right in JSON too: there it stands inside of strings alone.

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::OnceLock;

use clap::ValueEnum;
use slapledger_core::domain::id::is_printable;

/// A text as a terminal may be given it: lines and tabs stay, other control characters, format characters and separators
/// become `\u001b`.
pub fn shown(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| matches!(c, '\n' | '\t') || is_printable(c);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) {
            shown.push(c);
        } else {
            let mut units = [0; 2];
            shown.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(shown)
}

/// The form of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Table,
    /// For spreadsheets and programs.
    Csv,
}

/// What the command line says, once it is read.
static FORMAT: OnceLock<OutputFormat> = OnceLock::new();

/// Keeps what the command line says for the command that prints.
pub fn configure(format: OutputFormat) {
    // A second call (in a test) keeps the first.
    let _ = FORMAT.set(format);
}

/// Whether tables are printed as CSV.
pub fn is_csv() -> bool {
    FORMAT.get() == Some(&OutputFormat::Csv)
}

/// Prints a line: on standard error, if standard output is for tables as CSV.
pub fn line(text: &str) {
    let line = shown(text).into_owned() + "\n";
    // Nobody has to read it.
    let _ = if is_csv() {
        std::io::stderr().write_all(line.as_bytes())
    } else {
        std::io::stdout().write_all(line.as_bytes())
    };
}

/// Prints a line.
#[macro_export]
macro_rules! say {
    ($($what:tt)*) => {{
        $crate::print::line(&format!($($what)*));
    }};
}

/// Prints a line on standard error.
#[macro_export]
macro_rules! note {
    ($($what:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($what)*)));
    }};
}

pub use {note, say};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_others_reaches_the_terminal_but_what_it_shows() {
        let plain = "a\tb\nc é 漢字 e\u{301} 😀 \"'<&>";
        assert!(matches!(shown(plain), Cow::Borrowed(text) if text == plain));
        let check = |text: &str, expected: &str| assert_eq!(shown(text), expected, "{text:?}");
        check("\u{1b}[31mRED\u{7}", "\\u001b[31mRED\\u0007");
        check("\u{9b}32mC1 \rOVER", "\\u009b32mC1 \\u000dOVER");
        check("\u{202e}ibid \u{200b}\u{2028}\u{feff}", "\\u202eibid \\u200b\\u2028\\ufeff");
        check("\u{e0001}", "\\udb40\\udc01");
    }
}
