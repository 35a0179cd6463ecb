//! Rows of a projection, to say in what two generations of it differ: each has a table, a key and the digest of what it
//! holds. They are made only of projections whose digests differ.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use bincode::Encode;
use sha2::{Digest, Sha256};
use slapledger_core::domain::id::ProjectId;

/// How many bytes of SHA-256 a row keeps: rows are compared one by one, with the same key.
const ROW_DIGEST: usize = 16;

/// Where a row is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowName {
    /// The project that it belongs to, if its projection is one of projects.
    pub project: Option<ProjectId>,
    /// Its table.
    pub table: &'static str,
    /// Its key, for people.
    pub key: String,
}

/// The rows of a projection.
#[derive(Debug, Default)]
pub struct RowDigests {
    project: Option<ProjectId>,
    rows: BTreeMap<RowName, [u8; ROW_DIGEST]>,
}

impl RowDigests {
    /// The rows from now on belong to this project.
    pub fn enter(&mut self, project: ProjectId) {
        self.project = Some(project);
    }

    /// Adds a row with what `write` writes.
    pub fn add(
        &mut self,
        table: &'static str,
        key: String,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) {
        let mut hashed = HashedRow(Sha256::new());
        write(&mut hashed).expect("a hash takes everything");
        let mut digest = [0; ROW_DIGEST];
        digest.copy_from_slice(&hashed.0.finalize()[..ROW_DIGEST]);
        self.rows.insert(RowName { project: self.project, table, key }, digest);
    }

    /// Adds a row with a value.
    pub fn value(&mut self, table: &'static str, key: String, value: impl Encode) {
        self.add(table, key, |mut out| {
            let written = bincode::encode_into_std_write(value, &mut out, bincode::config::standard());
            written.map(|_| ()).map_err(io::Error::other)
        });
    }

    /// Adds a row for each entry of a table.
    pub fn table<K: fmt::Display, V: Encode>(
        &mut self,
        table: &'static str,
        entries: impl IntoIterator<Item = (K, V)>,
    ) {
        for (key, value) in entries {
            self.value(table, key.to_string(), value);
        }
    }

    /// The same, for keys that are several values.
    pub fn keyed<K: fmt::Debug, V: Encode>(
        &mut self,
        table: &'static str,
        entries: impl IntoIterator<Item = (K, V)>,
    ) {
        for (key, value) in entries {
            self.value(table, format!("{key:?}"), value);
        }
    }
}

struct HashedRow(Sha256);

impl Write for HashedRow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChange {
    /// The new generation has it, the other has not.
    Added,
    /// The new generation lacks it.
    Removed,
    /// It holds something else.
    Changed,
}

/// A row in which two generations differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDifference {
    /// The projection that it is a row of.
    pub projection: &'static str,
    /// Which row.
    pub row: RowName,
    /// What became of it.
    pub change: RowChange,
}

/// The rows in which two generations differ: how many they are, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowDifferences {
    /// How many they are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<RowDifference>,
}

/// How many are listed.
pub const MOST_LISTED: usize = 100;

impl RowDifferences {
    /// Adds what differs between the rows of one projection.
    pub fn add(&mut self, projection: &'static str, before: RowDigests, after: RowDigests) {
        let mut before = before.rows;
        for (row, digest) in after.rows {
            let change = match before.remove(&row) {
                None => RowChange::Added,
                Some(known) if known != digest => RowChange::Changed,
                Some(_) => continue,
            };
            self.push(RowDifference { projection, row, change });
        }
        for row in before.into_keys() {
            self.push(RowDifference { projection, row, change: RowChange::Removed });
        }
    }

    fn push(&mut self, difference: RowDifference) {
        self.count += 1;
        if self.first.len() < MOST_LISTED {
            self.first.push(difference);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[(u32, u32)]) -> RowDigests {
        let mut rows = RowDigests::default();
        rows.table("numbers", of.iter().copied());
        rows
    }

    #[test]
    fn rows_that_differ_are_counted_and_the_first_are_listed() {
        let mut differences = RowDifferences::default();
        differences.add("test", rows(&[(1, 1), (2, 2), (3, 3)]), rows(&[(1, 1), (2, 9), (4, 4)]));
        let listed: Vec<_> =
            differences.first.iter().map(|found| (found.row.key.as_str(), found.change)).collect();
        let expected = [("2", RowChange::Changed), ("4", RowChange::Added), ("3", RowChange::Removed)];
        assert_eq!((listed.as_slice(), differences.count), (expected.as_slice(), 3));
        let many: Vec<_> = (0..1000).map(|n| (n, n)).collect();
        let mut differences = RowDifferences::default();
        differences.add("test", rows(&[]), rows(&many));
        assert_eq!((differences.count, differences.first.len()), (1000, MOST_LISTED));
    }

    #[test]
    fn the_same_row_of_two_projects_is_two() {
        let of = |project| {
            let mut rows = RowDigests::default();
            rows.enter(ProjectId(project));
            rows.table("numbers", [(1, 1)]);
            rows
        };
        let mut differences = RowDifferences::default();
        differences.add("test", of(1), of(2));
        assert_eq!(differences.count, 2);
    }
}
