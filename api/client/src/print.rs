//! Printing for people.

/// Prints a line. Whoever reads may have seen enough (`slapledger demo | head`): that stops nothing.
#[macro_export]
macro_rules! say {
    ($($what:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($what)*)));
    }};
}

pub use say;
