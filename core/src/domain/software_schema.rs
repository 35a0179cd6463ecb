//! Schemas of software: which parameters a release takes, as its provider describes them.
//!
//! The text is JSON that the edge has read. It is supplied by who provides or publishes the software, and never fetched: the
//! address of a release is somebody else's server.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{PartyId, Reference, SoftwareRelease};
use super::party::Parties;
use super::time::Timestamp;

/// The longest schema, in bytes.
pub const MOST_SCHEMA_BYTES: usize = 64 * 1024;
/// The most releases of a project that have a schema.
const MOST_SCHEMAS: usize = 10_000;

/// The parameters of a release are described so from now on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct SoftwareSchemaSupplied {
    /// Of which release.
    pub release: SoftwareRelease,
    /// JSON.
    pub schema: Box<str>,
    /// By whom.
    pub supplier: PartyId,
    /// When.
    pub at: Timestamp,
}

/// Describe the parameters of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplySoftwareSchema {
    /// Of which release.
    pub release: SoftwareRelease,
    /// JSON.
    pub schema: Box<str>,
    /// By whom.
    pub supplier: PartyId,
}

/// Why a schema is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaRefusal {
    /// The supplier is no party.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// Somebody else describes the release.
    #[error("the schema of {release} is supplied by {supplier}")]
    OtherSupplier {
        /// Which.
        release: SoftwareRelease,
        /// Who does.
        supplier: PartyId,
    },
    /// It is too long.
    #[error("must be 1 to {max} bytes of JSON")]
    BadLength {
        /// How long it may be.
        max: usize,
    },
    /// There are too many.
    #[error("{max} releases have a schema, the most there may be")]
    TooMany {
        /// How many there may be.
        max: usize,
    },
}

/// Who describes each release, and the digest of what they say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct SoftwareSchemas {
    by_release: BTreeMap<SoftwareRelease, (PartyId, [u8; 32])>,
}

fn digest(schema: &str) -> [u8; 32] {
    Sha256::digest(schema.as_bytes()).into()
}

impl SoftwareSchemas {
    pub(crate) fn supply(
        &self,
        parties: &Parties,
        command: &SupplySoftwareSchema,
        now: Timestamp,
    ) -> Result<Outcome<()>, SchemaRefusal> {
        let SupplySoftwareSchema { release, schema, supplier } = command.clone();
        if parties.get(supplier).is_none() {
            return Err(SchemaRefusal::UnknownParty { party: supplier });
        }
        if schema.is_empty() || schema.len() > MOST_SCHEMA_BYTES {
            return Err(SchemaRefusal::BadLength { max: MOST_SCHEMA_BYTES });
        }
        match self.by_release.get(&release) {
            Some((known, _)) if *known != supplier => {
                return Err(SchemaRefusal::OtherSupplier { release, supplier: *known });
            }
            Some((_, known)) if *known == digest(&schema) => return Ok(Outcome::unchanged(())),
            None if self.by_release.len() >= MOST_SCHEMAS => {
                return Err(SchemaRefusal::TooMany { max: MOST_SCHEMAS });
            }
            _ => {}
        }
        // Releases have no stream of their own: that of the name people call it by is the nearest.
        let stream = Reference::new(&release.name()).map_or(Stream::Party(supplier), Stream::Product);
        let event = SoftwareSchemaSupplied { release, schema, supplier, at: now };
        Ok(Outcome::of((), [(stream, Event::SoftwareSchemaSupplied(event))]))
    }

    pub(crate) fn supplied(&mut self, event: &SoftwareSchemaSupplied) {
        self.by_release.insert(event.release.clone(), (event.supplier, digest(&event.schema)));
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::given::{Given, reference, register_party, release};

    use super::*;

    fn supply(schema: &str, supplier: u64) -> SupplySoftwareSchema {
        let release = release("http://example.org/kvm/software.cfg");
        SupplySoftwareSchema { release, schema: schema.into(), supplier: PartyId(supplier) }
    }

    #[test]
    fn a_release_is_described_by_one_supplier() {
        let given = Given::nothing().done(register_party()).done(register_party());
        let event = |schema| {
            let SupplySoftwareSchema { release, schema, supplier } = supply(schema, 1);
            let event = SoftwareSchemaSupplied { release, schema, supplier, at: given.now };
            (Stream::Product(reference("kvm")), Event::SoftwareSchemaSupplied(event))
        };
        let (first, second) = (event("{}"), event("{\"a\":1}"));
        let long = "x".repeat(MOST_SCHEMA_BYTES + 1);
        let other = SchemaRefusal::OtherSupplier {
            release: release("http://example.org/kvm/software.cfg"),
            supplier: PartyId(1),
        };
        given
            .when(supply("{}", 3))
            .refused(SchemaRefusal::UnknownParty { party: PartyId(3) })
            .when(supply("", 1))
            .refused(SchemaRefusal::BadLength { max: MOST_SCHEMA_BYTES })
            .when(supply(&long, 1))
            .refused(SchemaRefusal::BadLength { max: MOST_SCHEMA_BYTES })
            .when(supply("{}", 1))
            .then([first])
            .and()
            .when(supply("{}", 1))
            .unchanged()
            .and()
            .when(supply("{}", 2))
            .refused(other)
            .when(supply("{\"a\":1}", 1))
            .then([second]);
    }
}
