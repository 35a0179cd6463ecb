//! Credentials that were wrong, by the address they came from: guessing is logged and slowed, and past
//! what is answered at once not logged either: a guesser fills no disk.
//!
//! A right credential is never kept waiting, whatever others at the same address do; nothing is locked.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::StatusCode;
use governor::Quota;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;

use super::rate_limits::{Limiter, network};

/// How many wrong credentials of an address are answered at once.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
/// In how much time one more is.
const ONE_MORE: Duration = Duration::from_secs(6);
/// How long the answer to one past that is kept back.
const KEPT_BACK: Duration = Duration::from_secs(1);
/// How many answers are kept back at a time; others past that are answered at once, and cost nothing.
const MOST_KEPT_BACK: usize = 256;

/// What was guessed wrong.
pub struct FailedAttempts {
    limiter: Limiter<IpAddr>,
    kept_back: tokio::sync::Semaphore,
}

impl Default for FailedAttempts {
    fn default() -> Self {
        let quota = Quota::with_period(ONE_MORE).expect("not zero").allow_burst(AT_ONCE);
        Self { limiter: Limiter::new(quota), kept_back: tokio::sync::Semaphore::new(MOST_KEPT_BACK) }
    }
}

impl FailedAttempts {
    /// Another wrong one. An error is to be answered in place of the reason.
    pub async fn failed(&self, address: IpAddr) -> Result<(), Problem> {
        if self.limiter.check(&network(address)).is_ok() {
            tracing::warn!(%address, "a credential was not good");
            return Ok(());
        }
        if let Ok(_permit) = self.kept_back.try_acquire() {
            tokio::time::sleep(KEPT_BACK).await;
        }
        let problem = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            ProblemCode::TooManyFailedAttempts,
            "too many wrong credentials",
        );
        Err(Problem { retry_after_seconds: Some(6), ..problem })
    }
}
