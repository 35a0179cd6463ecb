//! Who comes in, and what they may do.
//!
//! A request is let in by a credential (`authenticate`): a certificate of its connection, a token, or a certificate that a
//! terminator of TLS hands on. Each route carries a rule of `policy`, the one table of what roles may do; it decides
//! before the handler runs whether the route is for this caller, and whether for all there is or for what is their own.
//! What is their own is said once, in `caller`. A handler gets the program as its caller may see it, through `Here`.
//!
//! Invariants: there is no route without a rule; what belongs to somebody else is answered as what does not exist; in
//! `proxy` and `demo` everybody is the local user, and nothing of this is asked.
//!
//! Not here: which credentials there are. They are events, and decided in the core.

mod authenticate;
mod caller;
mod claim;
mod guesses;
mod here;
#[cfg(test)]
mod matrix;
pub mod policy;
mod rate;
mod share;
pub mod token;

pub use authenticate::{Doors, Terminator, authenticate};
pub(crate) use authenticate::{PROJECT, by_token};
pub use caller::{Caller, FIRST_PARTY, Known, forbidden};
pub(crate) use claim::Claimed;
pub use guesses::Guesses;
pub use here::Here;
pub use policy::{Guarded, Policy, Reach};
pub use rate::Rate;
pub use share::Shares;
