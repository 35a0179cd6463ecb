//! The set of events behind a line, as the line names it.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::invoice::EventSet;

/// Count, bounds and digest of ascending sequences; of none, a count of 0.
pub(crate) fn event_set(sequences: &[Sequence]) -> EventSet {
    // A line is made without events first.
    static OF_NONE: LazyLock<[u8; 32]> = LazyLock::new(|| Sha256::digest([]).into());
    let (first, last) = (sequences.first().copied(), sequences.last().copied());
    let digest = if sequences.is_empty() {
        *OF_NONE
    } else {
        let mut hasher = Sha256::new();
        for sequence in sequences {
            hasher.update(sequence.0.to_be_bytes());
        }
        hasher.finalize().into()
    };
    EventSet {
        count: sequences.len() as u64,
        first_sequence: first.unwrap_or(Sequence::ZERO),
        last_sequence: last.unwrap_or(Sequence::ZERO),
        digest,
    }
}

#[cfg(test)]
mod tests {
    use slapledger_projections::view::ContentDigest;

    use super::*;

    #[test]
    fn a_line_names_count_and_bounds_and_digest() {
        let set = event_set(&[4, 9].map(Sequence));
        assert_eq!((set.count, set.first_sequence, set.last_sequence), (2, Sequence(4), Sequence(9)));
        // printf '\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\11' | sha256sum
        let digest = ContentDigest(set.digest).to_string();
        assert_eq!(digest, "7da13aa6b75a3637e7243256a8cb18e0eec8f86dd8b994cf64bb7502206ab64e");
        let none = event_set(&[]);
        assert_eq!(none.count, 0);
        // sha256sum < /dev/null
        let digest = ContentDigest(none.digest).to_string();
        assert_eq!(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
