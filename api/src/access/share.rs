//! How many requests each may have under way: nobody takes all the room there is, by however many credentials or
//! connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use parking_lot::Mutex;
use slapledger_core::domain::access::Holder;
use slapledger_core::domain::id::ProjectId;
use tokio::sync::Semaphore;

use super::authenticate::Asked;
use super::rate::network;
use crate::net::Peer;

/// With more senders than this, those who have nothing under way are forgotten.
const MANY: usize = 1024;

/// For whom a request counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Sender {
    /// Whoever it is from, by whichever of their credentials.
    Holder(ProjectId, Holder),
    /// Where it is from, if nobody is known.
    Network(IpAddr),
}

impl Sender {
    fn of(request: &Request) -> Option<Self> {
        // Where nobody has to say who they are, there is one user.
        let asked = request.extensions().get::<Asked>()?;
        if let Ok(Some(known)) = &asked.0 {
            return Some(Self::Holder(known.project, known.holder.clone()));
        }
        request.extensions().get::<Peer>().map(|peer| Self::Network(network(peer.address.ip())))
    }
}

/// The room of each sender.
pub struct Shares {
    most: usize,
    senders: Mutex<HashMap<Sender, Arc<Semaphore>>>,
}

impl Shares {
    /// So many requests of each.
    pub fn new(most: usize) -> Self {
        Self { most, senders: Mutex::default() }
    }

    /// The room of whoever sent a request.
    pub fn of(&self, request: &Request) -> Option<Arc<Semaphore>> {
        Sender::of(request).map(|sender| self.share(sender))
    }

    fn share(&self, sender: Sender) -> Arc<Semaphore> {
        let mut senders = self.senders.lock();
        if senders.len() > MANY && !senders.contains_key(&sender) {
            // Whoever waits or has one under way holds it too.
            senders.retain(|_, share| Arc::strong_count(share) > 1);
        }
        Arc::clone(senders.entry(sender).or_insert_with(|| Arc::new(Semaphore::new(self.most))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_nothing_under_way_is_forgotten_and_nobody_else() {
        let shares = Shares::new(1);
        let of = |n: u32| Sender::Network(IpAddr::V4(n.into()));
        let taken = shares.share(of(0)).try_acquire_owned().expect("there is room");
        for n in 1..=3 * u32::try_from(MANY).expect("small") {
            drop(shares.share(of(n)));
        }
        assert!(shares.senders.lock().len() <= MANY + 1);
        assert!(shares.share(of(0)).try_acquire_owned().is_err(), "it is still under way");
        drop(taken);
        assert!(shares.share(of(0)).try_acquire_owned().is_ok());
    }
}
