//! Printing for people. Whoever reads may have seen enough (`slapledger demo 2>&1 | head`), which stops nothing: the
//! macros of the standard library would panic.

/// Prints a line.
#[macro_export]
macro_rules! say {
    ($($what:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($what)*)));
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
