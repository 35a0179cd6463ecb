//! Proofs over the tree (RFC 9162, 2.1.3 and 2.1.4): an event is in the log, and a log continues another.
//!
//! A proof is made from hashes of perfect subtrees ([`SubtreeHashes`]) and checked from the hashes in it alone. Who
//! checks trusts nobody: a proof that is too short, too long or about a tree that cannot be is a fault with its name.

use super::{Root, node_hash};

/// Hashes of the perfect subtrees of a tree.
pub trait SubtreeHashes {
    /// Why a hash cannot be had.
    type Fault;

    /// The hash of the subtree with `2^height` leaves that begins at leaf `index * 2^height`. It is asked for whole
    /// subtrees of the tree alone.
    fn subtree(&mut self, height: u32, index: u64) -> Result<[u8; 32], Self::Fault>;
}

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// There is no such leaf in a tree of this size.
    #[error("there is no leaf {leaf} in a tree of {size}")]
    NoLeaf {
        /// From 0.
        leaf: u64,
        /// How many leaves the tree has.
        size: u64,
    },
    /// A larger tree cannot be the beginning of a smaller one.
    #[error("a tree of {from} leaves is not the beginning of one of {to}")]
    Backwards {
        /// How many leaves the tree before has.
        from: u64,
        /// How many leaves the tree after has.
        to: u64,
    },
    /// It has more or fewer hashes than a proof of this has.
    #[error("the proof has {found} hashes; one of this leaf and size has another number")]
    Length {
        /// How many there are.
        found: usize,
    },
    /// The leaves of one proof do not rise.
    #[error("leaf {leaf} of the proof does not stand after the leaf before it")]
    Order {
        /// From 0.
        leaf: u64,
    },
    /// The hashes do not give the root.
    #[error("the proof leads to another root: {found} instead of {expected}")]
    OtherRoot {
        /// What was to come.
        expected: Root,
        /// What came.
        found: Root,
    },
}

/// The root of the first `size` leaves.
pub fn root<H: SubtreeHashes>(hashes: &mut H, size: u64) -> Result<Root, H::Fault> {
    if size == 0 {
        return Ok(Root::EMPTY);
    }
    range(hashes, 0, size).map(Root)
}

/// The proof that leaf `leaf` is in the tree of `size` leaves, the sibling of the leaf first. Empty if there is none.
pub fn inclusion<H: SubtreeHashes>(hashes: &mut H, leaf: u64, size: u64) -> Result<Vec<[u8; 32]>, H::Fault> {
    let mut path = Vec::new();
    if leaf >= size {
        return Ok(path);
    }
    let (mut start, mut stop) = (0, size);
    while stop - start > 1 {
        let middle = start + left_part(stop - start);
        if leaf < middle {
            path.push(range(hashes, middle, stop)?);
            stop = middle;
        } else {
            path.push(range(hashes, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `from` leaves is the beginning of the tree of `to` leaves. Empty, if `from` is 0 or all.
pub fn consistency<H: SubtreeHashes>(hashes: &mut H, from: u64, to: u64) -> Result<Vec<[u8; 32]>, H::Fault> {
    let mut path = Vec::new();
    if from == 0 || from >= to {
        return Ok(path);
    }
    let (mut start, mut stop) = (0, to);
    // Whether what is left to be proved is the tree that the reader knows as a whole.
    let mut known = true;
    while stop != from {
        let middle = start + left_part(stop - start);
        if from <= middle {
            path.push(range(hashes, middle, stop)?);
            stop = middle;
        } else {
            path.push(range(hashes, start, middle)?);
            (start, known) = (middle, false);
        }
    }
    if !known {
        path.push(range(hashes, start, stop)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks that the leaf with this hash is in the tree of `size` leaves with this root (RFC 9162, 2.1.3.2).
pub fn check_inclusion(
    (leaf, hash): (u64, [u8; 32]),
    (size, expected): (u64, Root),
    path: &[[u8; 32]],
) -> Result<(), ProofFault> {
    if leaf >= size {
        return Err(ProofFault::NoLeaf { leaf, size });
    }
    let length = || ProofFault::Length { found: path.len() };
    let (mut node, mut last, mut result) = (leaf, size - 1, hash);
    for sibling in path {
        if last == 0 {
            return Err(length());
        }
        if node & 1 == 1 || node == last {
            result = node_hash(sibling, &result);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            result = node_hash(&result, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(length());
    }
    is_root(expected, result)
}

/// Checks that the tree of `from` leaves with its root is the beginning of the tree of `to` leaves (RFC 9162, 2.1.4.2).
pub fn check_consistency(
    (from, before): (u64, Root),
    (to, after): (u64, Root),
    path: &[[u8; 32]],
) -> Result<(), ProofFault> {
    let length = || ProofFault::Length { found: path.len() };
    if from > to {
        return Err(ProofFault::Backwards { from, to });
    }
    if from == to || from == 0 {
        if !path.is_empty() {
            return Err(length());
        }
        // Of the empty tree there is one.
        return if from == 0 { is_root(before, Root::EMPTY.0) } else { is_root(after, before.0) };
    }
    // A tree of a power of two is a node of the larger one: its hash is known and not in the proof.
    let (first, rest) = if from.is_power_of_two() {
        (before.0, path)
    } else {
        let (first, rest) = path.split_first().ok_or_else(length)?;
        (*first, rest)
    };
    let (mut node, mut last) = (from - 1, to - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (mut of_before, mut of_after) = (first, first);
    for hash in rest {
        if last == 0 {
            return Err(length());
        }
        if node & 1 == 1 || node == last {
            (of_before, of_after) = (node_hash(hash, &of_before), node_hash(hash, &of_after));
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            of_after = node_hash(&of_after, hash);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(length());
    }
    is_root(before, of_before)?;
    is_root(after, of_after)
}

fn is_root(expected: Root, found: [u8; 32]) -> Result<(), ProofFault> {
    let found = Root(found);
    if found == expected { Ok(()) } else { Err(ProofFault::OtherRoot { expected, found }) }
}

/// The largest power of two below a number of leaves that is above 1.
pub(super) fn left_part(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The hash of leaves that begin where a subtree of at least that size begins.
pub(super) fn range<H: SubtreeHashes>(hashes: &mut H, start: u64, stop: u64) -> Result<[u8; 32], H::Fault> {
    let mut parts = Vec::new();
    let mut at = start;
    while at < stop {
        let height = (stop - at).ilog2();
        parts.push(hashes.subtree(height, at >> height)?);
        at += 1 << height;
    }
    let mut smallest_first = parts.into_iter().rev();
    let smallest = smallest_first.next().expect("a range has leaves");
    Ok(smallest_first.fold(smallest, |right, left| node_hash(&left, &right)))
}

#[cfg(test)]
pub(in crate::log) mod tests {
    use proptest::prelude::*;

    use super::super::{Tree, leaf_hash};
    use super::*;

    /// All leaves at hand.
    pub(in crate::log) struct Leaves(Vec<[u8; 32]>);

    impl Leaves {
        pub(in crate::log) fn hash_of(&self, leaf: u64) -> [u8; 32] {
            self.0[usize::try_from(leaf).expect("few leaves")]
        }
    }

    impl SubtreeHashes for Leaves {
        type Fault = std::convert::Infallible;

        fn subtree(&mut self, height: u32, index: u64) -> Result<[u8; 32], Self::Fault> {
            if height == 0 {
                return Ok(self.0[usize::try_from(index).expect("few leaves")]);
            }
            let left = self.subtree(height - 1, 2 * index)?;
            let right = self.subtree(height - 1, 2 * index + 1)?;
            Ok(node_hash(&left, &right))
        }
    }

    pub(in crate::log) fn leaves(count: u64) -> Leaves {
        Leaves((0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect())
    }

    pub(in crate::log) fn root_of(count: u64) -> Root {
        let mut tree = Tree::new();
        (0..count).for_each(|n| tree.push(&n.to_be_bytes()));
        tree.root()
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proved() {
        for size in 0..70 {
            let mut hashes = leaves(size);
            assert_eq!(root(&mut hashes, size), Ok(root_of(size)));
            for leaf in 0..size {
                let path = inclusion(&mut hashes, leaf, size).expect("at hand");
                let hash = hashes.0[usize::try_from(leaf).expect("small")];
                assert_eq!(
                    check_inclusion((leaf, hash), (size, root_of(size)), &path),
                    Ok(()),
                    "{leaf} of {size}"
                );
                for other in (0..=size).filter(|other| *other != leaf) {
                    let checked = check_inclusion((other, hash), (size, root_of(size)), &path);
                    assert!(checked.is_err(), "{leaf} of {size} is no proof of {other}");
                }
            }
        }
    }

    #[test]
    fn every_small_tree_is_proved_to_continue_those_before() {
        for to in 0..50 {
            let mut hashes = leaves(to);
            for from in 0..=to {
                let path = consistency(&mut hashes, from, to).expect("at hand");
                let (before, after) = ((from, root_of(from)), (to, root_of(to)));
                assert_eq!(check_consistency(before, after, &path), Ok(()), "{from} to {to}");
                for other in (1..to).filter(|other| *other != from) {
                    let checked = check_consistency((other, root_of(other)), after, &path);
                    assert!(checked.is_err(), "{from} to {to} is no proof of {other}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        let nothing = (0, Root::EMPTY);
        assert_eq!(check_inclusion((0, [0; 32]), nothing, &[]), Err(ProofFault::NoLeaf { leaf: 0, size: 0 }));
        let backwards = ProofFault::Backwards { from: 2, to: 1 };
        assert_eq!(check_consistency((2, root_of(2)), (1, root_of(1)), &[]), Err(backwards));
        let other = ProofFault::OtherRoot { expected: root_of(1), found: Root::EMPTY };
        assert_eq!(check_consistency((0, root_of(1)), (3, root_of(3)), &[]), Err(other));
        assert_eq!(
            check_consistency(nothing, (3, root_of(3)), &[[0; 32]]),
            Err(ProofFault::Length { found: 1 })
        );
        assert_eq!(
            check_consistency((3, root_of(3)), (5, root_of(5)), &[]),
            Err(ProofFault::Length { found: 0 })
        );
    }

    proptest! {
        #[test]
        fn a_changed_proof_proves_nothing(
            size in 2_u64..400, leaf: prop::sample::Index, place: prop::sample::Index, bit in 0_usize..256, longer: bool,
        ) {
            let leaf = leaf.index(usize::try_from(size).expect("small")) as u64;
            let mut hashes = leaves(size);
            let hash = hashes.0[usize::try_from(leaf).expect("small")];
            let mut path = inclusion(&mut hashes, leaf, size).expect("at hand");
            let tree = (size, root_of(size));
            if longer {
                path.push([7; 32]);
            } else {
                let at = place.index(path.len());
                path[at][bit / 8] ^= 1 << (bit % 8);
            }
            prop_assert!(check_inclusion((leaf, hash), tree, &path).is_err());
            path.truncate(path.len() - 1);
            prop_assert!(check_inclusion((leaf, hash), tree, &path[..path.len().saturating_sub(usize::from(longer))]).is_err());
        }

        #[test]
        fn a_changed_history_is_not_continued(size in 2_u64..300, from: prop::sample::Index, changed: prop::sample::Index) {
            let from = 1 + from.index(usize::try_from(size - 1).expect("small")) as u64;
            let changed = changed.index(usize::try_from(from).expect("small"));
            let mut hashes = leaves(size);
            let before = root(&mut hashes, from).expect("at hand");
            hashes.0[changed] = leaf_hash(b"another event");
            let after = root(&mut hashes, size).expect("at hand");
            let path = consistency(&mut hashes, from, size).expect("at hand");
            prop_assert!(check_consistency((from, before), (size, after), &path).is_err());
        }
    }
}
