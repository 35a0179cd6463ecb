//! What the tests and benchmarks that cross crates share: the real program as a process, a small HTTP client that
//! costs little, the few SLAP and CloudEvents bodies they send, and repeatable randomness.
//!
//! Nothing here knows what the program is made of: it is reached over its command line and its port alone.

pub mod cloudevents;
pub mod http;
pub mod random;
pub mod server;
pub mod slap;

use std::path::PathBuf;

/// The program under test: `SLAPLEDGER_BIN`, or the one beside the running test in the folder of its cargo profile.
pub fn binary() -> PathBuf {
    if let Some(told) = std::env::var_os("SLAPLEDGER_BIN") {
        return told.into();
    }
    let mut folder = std::env::current_exe().expect("a running program has a path");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder.join("slapledger")
}

/// Whether the short form of the tests is wanted (`tests/run quick`).
pub fn quick() -> bool {
    std::env::var_os("SLAPLEDGER_QUICK").is_some_and(|value| !value.is_empty() && value != "0")
}

/// The seed to repeat (`SLAPLEDGER_SEED`), if one is named.
pub fn told_seed() -> Option<u64> {
    let told = std::env::var("SLAPLEDGER_SEED").ok()?;
    Some(told.parse().expect("SLAPLEDGER_SEED must be a number"))
}
