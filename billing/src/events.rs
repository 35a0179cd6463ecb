//! The set of events behind a line, as the line names it.

use sha2::{Digest, Sha256};
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::invoice::EventSet;

/// Count, bounds and digest of ascending sequences; nothing, if there are none.
pub(crate) fn event_set(sequences: &[Sequence]) -> Option<EventSet> {
    let (first, last) = (sequences.first()?, sequences.last()?);
    let mut hasher = Sha256::new();
    for sequence in sequences {
        hasher.update(sequence.0.to_be_bytes());
    }
    let digest = hasher.finalize().into();
    Some(EventSet { count: sequences.len() as u64, first_sequence: *first, last_sequence: *last, digest })
}

#[cfg(test)]
mod tests {
    use slapledger_projections::view::ContentDigest;

    use super::*;

    #[test]
    fn a_line_names_count_and_bounds_and_digest() {
        let set = event_set(&[4, 9].map(Sequence)).expect("not empty");
        assert_eq!((set.count, set.first_sequence, set.last_sequence), (2, Sequence(4), Sequence(9)));
        // printf '\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\11' | sha256sum
        let digest = ContentDigest(set.digest).to_string();
        assert_eq!(digest, "7da13aa6b75a3637e7243256a8cb18e0eec8f86dd8b994cf64bb7502206ab64e");
        assert_eq!(event_set(&[]), None);
    }
}
