//! The `slapledger` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    match slapledger_api::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: what was tried, and because of what it failed.
            eprintln!("slapledger: {}", slapledger_client::print::shown(&format!("{error:#}")));
            slapledger_api::cli::exit_status(&error).into()
        }
    }
}
