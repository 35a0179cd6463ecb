//! A view of each project, kept apart by construction: an event is shown to the view of its project and to no other, and
//! who reads is handed the view of one.
//!
//! Each view is what it would be if its project were all there is, but for the sequences, which are the log's. What is of
//! the ledger itself is in the default project. A project is here from its first event on; before that its view is the
//! empty one.
//!
//! A projection keeps its name: its bytes are those of all projects, ascending, so that one digest covers them.

use std::io::{self, Read, Write};

use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::ProjectId;
use slapledger_core::log::envelope::Recorded;

use crate::rows::RowDigests;
use crate::view::{Deferred, Projection, View, get, put};

/// The views of all projects.
#[derive(Debug, Clone, Default)]
pub struct Projects<V> {
    /// Ascending.
    views: Vec<(ProjectId, V)>,
    /// Where the last event went: neighbours mostly go to one project.
    last: usize,
    empty: V,
}

impl<V> Projects<V> {
    /// The view of a project; an empty one, if nothing happened there.
    pub fn of(&self, project: ProjectId) -> &V {
        self.place(project).map_or(&self.empty, |at| &self.views[at].1)
    }

    /// The projects in which something happened, ascending.
    pub fn ids(&self) -> impl Iterator<Item = ProjectId> {
        self.views.iter().map(|(id, _)| *id)
    }

    /// The same with their views.
    pub fn iter(&self) -> impl Iterator<Item = (ProjectId, &V)> {
        self.views.iter().map(|(id, view)| (*id, view))
    }

    fn place(&self, project: ProjectId) -> Result<usize, usize> {
        self.views.binary_search_by_key(&project, |(id, _)| *id)
    }
}

impl<V: View> Projects<V> {
    /// The view of a project, which is there from now on.
    fn enter(&mut self, project: ProjectId) -> &mut V {
        let at = match self.views.get(self.last) {
            Some((id, _)) if *id == project => self.last,
            _ => self.place(project).unwrap_or_else(|at| {
                self.views.insert(at, (project, V::default()));
                at
            }),
        };
        self.last = at;
        &mut self.views[at].1
    }
}

impl<V: View> View for Projects<V> {
    const FORMAT: u32 = V::FORMAT;
    const LOOKS_AT_USAGE: bool = V::LOOKS_AT_USAGE;

    fn apply(&mut self, event: &Recorded) {
        // Shown or spared, usage makes no difference: not even that its project is here.
        if V::LOOKS_AT_USAGE || !matches!(*event.stream, Stream::Usage(_)) {
            self.enter(event.project()).apply(event);
        }
    }

    fn apply_live(&mut self, event: &Recorded) -> Option<Deferred<Self>> {
        if !V::LOOKS_AT_USAGE && matches!(*event.stream, Stream::Usage(_)) {
            return None;
        }
        let project = event.project();
        let deferred = self.enter(project).apply_live(event)?;
        Some(deferred.within(move |projects: &mut Self| projects.enter(project)))
    }

    fn projections(&self) -> Vec<Box<dyn Projection + '_>> {
        let names = self.empty.projections().into_iter().map(|projection| projection.name());
        let all = names.enumerate().map(|(nth, name)| OfAll { name, nth, projects: self });
        all.map(|projection| Box::new(projection) as Box<dyn Projection + '_>).collect()
    }

    fn read(from: &mut dyn Read) -> io::Result<Self> {
        let mut projects = Self::default();
        for _ in 0..get::<u64>(from)? {
            let id = get(from)?;
            if projects.views.last().is_some_and(|(last, _)| *last >= id) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "projects are not ascending"));
            }
            projects.views.push((id, V::read(from)?));
        }
        Ok(projects)
    }

    /// One project after the other, each with all of its projections.
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write_each(self, out, V::write)
    }
}

/// A projection of all projects.
struct OfAll<'a, V> {
    name: &'static str,
    nth: usize,
    projects: &'a Projects<V>,
}

impl<V: View> Projection for OfAll<'_, V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write_each(self.projects, out, |view, out| view.projections()[self.nth].write(out))
    }

    fn rows(&self, rows: &mut RowDigests) {
        for (id, view) in self.projects.iter() {
            rows.enter(id);
            // A project without anything in it is there all the same.
            rows.value("project", id.to_string(), ());
            view.projections()[self.nth].rows(rows);
        }
    }
}

fn write_each<V>(
    projects: &Projects<V>,
    out: &mut dyn Write,
    write: impl Fn(&V, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    put(projects.views.len() as u64, out)?;
    for (id, view) in &projects.views {
        put(id, out)?;
        write(view, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
