//! The views of one project.

use std::sync::Arc;
use std::time::Duration;

use slapledger_core::domain::id::{ProjectId, Sequence};
use slapledger_projections::runner::{ReadFault, Runner};
use slapledger_projections::{Projects, View};

/// The view of one project: who holds this can read no other.
pub struct ProjectView<'e, V: View> {
    runner: &'e Runner<Projects<V>>,
    project: ProjectId,
}

impl<'e, V: View> ProjectView<'e, V> {
    pub(crate) fn new(runner: &'e Runner<Projects<V>>, project: ProjectId) -> Self {
        Self { runner, project }
    }
}

impl<V: View> Clone for ProjectView<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: View> Copy for ProjectView<'_, V> {}

impl<V: View> ProjectView<'_, V> {
    /// See [`Runner::read`].
    pub fn read<R>(self, read: impl FnOnce(&V, Sequence) -> R) -> R {
        self.runner.read(|projects, at| read(projects.of(self.project), at))
    }

    /// See [`Runner::read_at`].
    pub async fn read_at<R>(
        self,
        min: Sequence,
        read: impl FnOnce(&V, Sequence) -> R,
    ) -> Result<R, ReadFault> {
        self.runner.read_at(min, |projects, at| read(projects.of(self.project), at)).await
    }

    /// See [`Runner::read_at_blocking`].
    pub fn read_at_blocking<R>(
        self,
        min: Sequence,
        read: impl FnOnce(&V, Sequence) -> R,
    ) -> Result<R, ReadFault> {
        self.runner.read_at_blocking(min, |projects, at| read(projects.of(self.project), at))
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
        self.runner.read_when(patience, |projects, at| read(projects.of(self.project), at)).await
    }

    /// See [`Runner::read_when_blocking`].
    pub fn read_when_blocking<R>(
        self,
        patience: Duration,
        read: impl Fn(&V, Sequence) -> Option<R>,
    ) -> Option<R> {
        self.runner.read_when_blocking(patience, |projects, at| read(projects.of(self.project), at))
    }

    /// See [`Runner::status`].
    pub fn fault(self) -> Option<Arc<str>> {
        self.runner.status().fault
    }

    /// See [`Runner::reach`].
    pub async fn reach(self, min: Sequence) -> Result<(), ReadFault> {
        self.runner.reach(min).await
    }
}
