//! How many requests each may send: by credential, or by address for those without one.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};
use slapledger_core::domain::id::CredentialId;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;

/// With more keys than this, those that have been quiet are forgotten.
const MANY: usize = 10_000;
/// It takes as long as there are keys, and is done once in so many requests.
const TIDY_EVERY: usize = 1024;

/// A rate of each key. Memory is bounded by who is there.
pub(super) struct Limiter<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    checked: AtomicUsize,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    pub(super) fn new(quota: Quota) -> Self {
        Self { limiter: RateLimiter::keyed(quota), checked: AtomicUsize::new(0) }
    }

    /// One more of a key.
    pub(super) fn check(&self, key: &K) -> Result<(), NotUntil<<DefaultClock as Clock>::Instant>> {
        if self.checked.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIDY_EVERY)
            && self.limiter.len() > MANY
        {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter.check_key(key)
    }
}

/// How many requests each may send.
pub struct RateLimits {
    known: Limiter<CredentialId>,
    unknown: Limiter<IpAddr>,
    clock: DefaultClock,
}

impl RateLimits {
    /// So many a second of each credential, and of each address without one; twice as many at once.
    pub fn new(known: NonZeroU32, unknown: NonZeroU32) -> Self {
        let quota = |each: NonZeroU32| Quota::per_second(each).allow_burst(each.saturating_mul(TWO));
        Self {
            known: Limiter::new(quota(known)),
            unknown: Limiter::new(quota(unknown)),
            clock: DefaultClock::default(),
        }
    }

    /// One more request.
    pub fn check(&self, known: Option<CredentialId>, address: Option<IpAddr>) -> Result<(), Problem> {
        let checked = match (known, address) {
            (Some(credential), _) => self.known.check(&credential),
            (None, Some(address)) => self.unknown.check(&network(address)),
            (None, None) => Ok(()),
        };
        checked.map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now()).as_secs();
            let seconds = u32::try_from(wait.saturating_add(1)).unwrap_or(60);
            let problem = Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                ProblemCode::TooManyRequests,
                "this sender sends more requests than it may",
            );
            Problem { retry_after_seconds: Some(seconds), ..problem }
        })
    }
}

const TWO: NonZeroU32 = NonZeroU32::new(2).expect("not zero");

/// What an address belongs to: anyone who has one of IPv6 has 2^64 of them.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_rate_of_its_own() {
        let rate = RateLimits::new(NonZeroU32::new(2).expect("two"), NonZeroU32::MIN);
        let (one, other) = (CredentialId([1; 16]), CredentialId([2; 16]));
        let address: IpAddr = "192.0.2.1".parse().expect("an address");
        for _ in 0..4 {
            assert_eq!(rate.check(Some(one), Some(address)), Ok(()));
        }
        let problem = rate.check(Some(one), Some(address)).expect_err("the fifth is one too many");
        assert_eq!((problem.status.as_u16(), problem.retry_after_seconds), (429, Some(1)));
        assert_eq!(rate.check(Some(other), Some(address)), Ok(()));
        for _ in 0..2 {
            assert_eq!(rate.check(None, Some(address)), Ok(()));
        }
        assert!(rate.check(None, Some(address)).is_err());
        assert_eq!(rate.check(None, None), Ok(()));
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let of = |text: &str| network(text.parse().expect("an address")).to_string();
        assert_eq!(of("2001:db8::1:2:3:4"), "2001:db8::");
        assert_eq!(of("2001:db8:0:1::"), "2001:db8:0:1::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }
}
