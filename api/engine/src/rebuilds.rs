//! How views are rebuilt while they serve: the settings, and the view that a projection is a part of.

use std::num::NonZeroU64;
use std::time::Duration;

use slapledger_billing::BillingView;
use slapledger_projections::runner::rebuild::{KEPT, RebuildRequest, RebuiltView};
use slapledger_projections::{AccessView, Projects, SlapViews, View};

use crate::Engine;

/// By how much the threads of a rebuild give way to others.
const NICE: i32 = 7;

/// What applies to every rebuild that does not say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildSettings {
    /// How many events a second are read at most.
    pub most_events_per_second: Option<NonZeroU64>,
    /// How long a generation waits for its swap, and the old one for a confirmation.
    pub kept: Duration,
}

impl Default for RebuildSettings {
    fn default() -> Self {
        Self { most_events_per_second: None, kept: KEPT }
    }
}

impl RebuildSettings {
    /// A rebuild with these settings, on threads that give way to those that answer.
    pub fn request(self, swap: bool, most_events_per_second: Option<NonZeroU64>) -> RebuildRequest {
        let most_events_per_second = most_events_per_second.or(self.most_events_per_second);
        RebuildRequest { swap, most_events_per_second, kept: self.kept, on_thread: give_way }
    }
}

/// On Linux the priority is that of the calling thread, and the threads that it starts have it too.
fn give_way() {
    // Without it the rebuild is as quick as the others.
    let _ = rustix::process::nice(NICE);
}

impl Engine {
    /// The view that a projection is a part of, with the names of all of its projections.
    pub fn view_of(&self, projection: &str) -> Option<(&dyn RebuiltView, Vec<&'static str>)> {
        let views: [(&dyn RebuiltView, Vec<&'static str>); 3] = [
            (&self.slap, names::<Projects<SlapViews>>()),
            (&self.billing, names::<Projects<BillingView>>()),
            (&self.access, names::<AccessView>()),
        ];
        views.into_iter().find(|(_, names)| names.contains(&projection))
    }
}

fn names<V: View>() -> Vec<&'static str> {
    V::default().projections().iter().map(|projection| projection.name()).collect()
}
