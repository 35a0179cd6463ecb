//! The `slapledger` binary.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use slapledger_client::print::note;

/// Events are allocated by one thread and freed by others, which the allocator of the system is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match slapledger_api::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: what was tried, and because of what it failed.
            note!("slapledger: {}", slapledger_client::print::shown(&format!("{error:#}")));
            slapledger_api::cli::exit_status(&error).into()
        }
    }
}
