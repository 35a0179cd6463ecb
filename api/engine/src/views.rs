//! Where a view is read: as it is now, or as it was at an event; of the ledger, or of one project.

use std::sync::Arc;
use std::time::Duration;

use slapledger_billing::BillingView;
use slapledger_core::domain::id::{ProjectId, Sequence};
use slapledger_projections::runner::{GenerationLease, ReadFault, Runner};
use slapledger_projections::{AccessView, Projects, SlapViews, View};

/// The generations of all views that one request reads. Another generation that takes the place of one of them meanwhile
/// is not seen by the request.
pub struct ViewLeases {
    pub(crate) slap: GenerationLease<Projects<SlapViews>>,
    pub(crate) billing: GenerationLease<Projects<BillingView>>,
    pub(crate) access: GenerationLease<AccessView>,
}

impl ViewLeases {
    /// What SLAP and lists of a project are answered from.
    pub fn slap_of(&self, project: ProjectId) -> ProjectView<'_, SlapViews> {
        ProjectView::new(ViewSource::Leased(&self.slap), project)
    }

    /// Metering, prices, runs and invoices of a project.
    pub fn billing_of(&self, project: ProjectId) -> ProjectView<'_, BillingView> {
        ProjectView::new(ViewSource::Leased(&self.billing), project)
    }

    /// Projects and credentials.
    pub fn access(&self) -> ViewSource<'_, AccessView> {
        ViewSource::Leased(&self.access)
    }
}

/// A view that follows the log, or one that stands at an event and is never behind.
pub enum ViewSource<'e, V: View> {
    /// The one that follows the log.
    Live(&'e Runner<V>),
    /// One generation of it, the same for all reads of a request.
    Leased(&'e GenerationLease<V>),
    /// One as it was when this event was the last.
    Past(&'e V, Sequence),
}

#[expect(clippy::expl_impl_clone_on_copy, reason = "a derived one asks the view to be Clone")]
impl<V: View> Clone for ViewSource<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: View> Copy for ViewSource<'_, V> {}

impl<V: View> ViewSource<'_, V> {
    /// See [`Runner::read`].
    pub fn read<R>(self, read: impl FnOnce(&V, Sequence) -> R) -> R {
        match self {
            Self::Live(runner) => runner.read(read),
            Self::Leased(lease) => lease.read(read),
            Self::Past(view, at) => read(view, at),
        }
    }

    /// See [`Runner::read_at`].
    pub async fn read_at<R>(
        self,
        min: Sequence,
        read: impl FnOnce(&V, Sequence) -> R,
    ) -> Result<R, ReadFault> {
        match self {
            Self::Live(runner) => runner.read_at(min, read).await,
            Self::Leased(lease) => lease.read_at(min, read).await,
            Self::Past(view, at) => Ok(read(view, at)),
        }
    }

    /// See [`Runner::read_at_blocking`].
    pub fn read_at_blocking<R>(
        self,
        min: Sequence,
        read: impl FnOnce(&V, Sequence) -> R,
    ) -> Result<R, ReadFault> {
        match self {
            Self::Live(runner) => runner.read_at_blocking(min, read),
            Self::Leased(lease) => lease.read_at_blocking(min, read),
            Self::Past(view, at) => Ok(read(view, at)),
        }
    }

    /// See [`Runner::read_when`].
    pub async fn read_when<R>(
        self,
        patience: Duration,
        read: impl Fn(&V, Sequence) -> Option<R>,
    ) -> Option<R> {
        match self {
            Self::Live(runner) => runner.read_when(patience, read).await,
            Self::Leased(lease) => lease.read_when(patience, read).await,
            Self::Past(view, at) => read(view, at),
        }
    }

    /// See [`Runner::read_when_blocking`].
    pub fn read_when_blocking<R>(
        self,
        patience: Duration,
        read: impl Fn(&V, Sequence) -> Option<R>,
    ) -> Option<R> {
        match self {
            Self::Live(runner) => runner.read_when_blocking(patience, read),
            Self::Leased(lease) => lease.read_when_blocking(patience, read),
            Self::Past(view, at) => read(view, at),
        }
    }

    /// Which generation is read; 0 for views of the past.
    pub fn number(self) -> u64 {
        match self {
            Self::Live(runner) => runner.lease().number(),
            Self::Leased(lease) => lease.number(),
            Self::Past(..) => 0,
        }
    }

    /// Why it has stopped, if it has; see [`Runner::status`].
    pub fn fault(self) -> Option<Arc<str>> {
        match self {
            Self::Live(runner) => runner.status().fault,
            Self::Leased(lease) => lease.fault(),
            Self::Past(..) => None,
        }
    }

    /// See [`Runner::reach`].
    pub async fn reach(self, min: Sequence) -> Result<(), ReadFault> {
        match self {
            Self::Live(runner) => runner.reach(min).await,
            Self::Leased(lease) => lease.reach(min).await,
            Self::Past(..) => Ok(()),
        }
    }
}

/// The view of one project: who holds this can read no other.
pub struct ProjectView<'e, V: View> {
    source: ViewSource<'e, Projects<V>>,
    project: ProjectId,
}

impl<'e, V: View> ProjectView<'e, V> {
    pub(crate) fn new(source: ViewSource<'e, Projects<V>>, project: ProjectId) -> Self {
        Self { source, project }
    }
}

#[expect(clippy::expl_impl_clone_on_copy, reason = "a derived one asks the view to be Clone")]
impl<V: View> Clone for ProjectView<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: View> Copy for ProjectView<'_, V> {}

impl<V: View> ProjectView<'_, V> {
    /// See [`Runner::read`].
    pub fn read<R>(self, read: impl FnOnce(&V, Sequence) -> R) -> R {
        self.source.read(|projects, at| read(projects.of(self.project), at))
    }

    /// See [`Runner::read_at`].
    pub async fn read_at<R>(
        self,
        min: Sequence,
        read: impl FnOnce(&V, Sequence) -> R,
    ) -> Result<R, ReadFault> {
        self.source.read_at(min, |projects, at| read(projects.of(self.project), at)).await
    }

    /// See [`Runner::read_at_blocking`].
    pub fn read_at_blocking<R>(
        self,
        min: Sequence,
        read: impl FnOnce(&V, Sequence) -> R,
    ) -> Result<R, ReadFault> {
        self.source.read_at_blocking(min, |projects, at| read(projects.of(self.project), at))
    }

    /// The view as it is now, and the last event it has taken over. It never changes, and who has it holds no lock.
    pub fn generation(self) -> (V, Sequence)
    where
        V: Clone,
    {
        self.read(|view, at| (view.clone(), at))
    }

    /// See [`Runner::read_when`].
    pub async fn read_when<R>(
        self,
        patience: Duration,
        read: impl Fn(&V, Sequence) -> Option<R>,
    ) -> Option<R> {
        self.source.read_when(patience, |projects, at| read(projects.of(self.project), at)).await
    }

    /// See [`Runner::read_when_blocking`].
    pub fn read_when_blocking<R>(
        self,
        patience: Duration,
        read: impl Fn(&V, Sequence) -> Option<R>,
    ) -> Option<R> {
        self.source.read_when_blocking(patience, |projects, at| read(projects.of(self.project), at))
    }

    /// See [`ViewSource::number`].
    pub fn number(self) -> u64 {
        self.source.number()
    }

    /// See [`ViewSource::fault`].
    pub fn fault(self) -> Option<Arc<str>> {
        self.source.fault()
    }

    /// See [`Runner::reach`].
    pub async fn reach(self, min: Sequence) -> Result<(), ReadFault> {
        self.source.reach(min).await
    }
}
