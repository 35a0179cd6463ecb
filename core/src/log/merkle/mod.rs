//! The Merkle tree of the log: RFC 6962 / RFC 9162 hashing with SHA-256.
//!
//! A leaf is the stored bytes of one event, hashed with the prefix 0x00; an inner node hashes 0x01 and its two
//! children; the root of the empty tree is SHA-256 of nothing. Leaf n is the event of sequence n + 1, so frames,
//! epochs and compression mean nothing to the tree.
//!
//! Invariant: [`Tree`] keeps the roots of the perfect subtrees that make up the tree, largest first, one for each
//! bit set in its size. That is all that is needed to go on, at most 64 hashes.
//!
//! This is not a store of tree nodes: a tree that only grows cannot prove anything about its past. `proof` makes and
//! checks proofs from hashes of subtrees, wherever they come from.

pub mod proof;
pub mod several;

use std::fmt;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::error::DecodeError;
use sha2::{Digest, Sha256};

const LEAF: [u8; 1] = [0x00];
const NODE: [u8; 1] = [0x01];

/// The root hash of the tree at some size.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, bincode::Encode, bincode::Decode)]
pub struct Root(pub [u8; 32]);

impl Root {
    /// The root of the tree without leaves: SHA-256 of the empty string.
    pub const EMPTY: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
        0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root({self})")
    }
}

/// The growing edge of the tree: enough to add leaves and to know the root, and small enough for a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default, bincode::Encode)]
pub struct Tree {
    size: u64,
    frontier: Vec<[u8; 32]>,
}

impl Tree {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree taken up again from its size and [`frontier`](Self::frontier); `None` if the two do not belong
    /// together.
    pub fn from_parts(size: u64, frontier: Vec<[u8; 32]>) -> Option<Self> {
        // A tree that could not grow would not be a log.
        let fits = size < u64::MAX && usize::try_from(size.count_ones()) == Ok(frontier.len());
        fits.then_some(Self { size, frontier })
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, largest first.
    pub fn frontier(&self) -> &[[u8; 32]] {
        &self.frontier
    }

    /// Adds a leaf: the stored bytes of the next event.
    pub fn push(&mut self, leaf: &[u8]) {
        self.push_subtree(0, leaf_hash(leaf));
    }

    /// Adds leaves that were hashed by themselves; they have to stand where this tree ends.
    pub(crate) fn push_run(&mut self, run: &LeafRun) {
        debug_assert_eq!(self.size, run.first, "a run is hashed for its place");
        for (height, hash) in &run.subtrees {
            self.push_subtree(*height, *hash);
        }
    }

    /// Adds a perfect subtree, which has to begin at a multiple of its size.
    pub(crate) fn push_subtree(&mut self, height: u32, mut hash: [u8; 32]) {
        // Each bit that carries when the size grows is a perfect subtree that finds its sibling.
        for _ in 0..(self.size >> height).trailing_ones() {
            let left = self.frontier.pop().expect("one subtree for each bit of the size");
            hash = node_hash(&left, &hash);
        }
        self.frontier.push(hash);
        self.size += 1 << height;
    }

    /// The root hash at this size.
    pub fn root(&self) -> Root {
        let mut smallest_first = self.frontier.iter().rev();
        match smallest_first.next() {
            None => Root::EMPTY,
            Some(smallest) => Root(smallest_first.fold(*smallest, |right, left| node_hash(left, &right))),
        }
    }
}

/// A run of leaves, hashed without the tree before them: the largest perfect subtrees that they make up, in order.
/// Runs do not depend on each other, so threads can hash them and [`Tree::push_run`] put them together.
#[derive(Debug)]
pub(crate) struct LeafRun {
    first: u64,
    /// Each with its height: up to some leaf they grow, then they shrink.
    subtrees: Vec<(u32, [u8; 32])>,
}

impl LeafRun {
    /// Hashes leaves that come after the first `first` ones of the tree.
    pub(crate) fn new<'a>(first: u64, leaves: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut subtrees: Vec<(u32, [u8; 32])> = Vec::new();
        for (at, leaf) in (first..).zip(leaves) {
            let (mut height, mut hash) = (0, leaf_hash(leaf));
            // A right sibling takes its left one, unless that began before the run.
            while at >> height & 1 == 1
                && let Some((_, left)) = subtrees.pop_if(|(other, _)| *other == height)
            {
                hash = node_hash(&left, &hash);
                height += 1;
            }
            subtrees.push((height, hash));
        }
        Self { first, subtrees }
    }

    /// The subtrees with their heights, in order.
    pub(crate) fn subtrees(&self) -> impl Iterator<Item = (u32, [u8; 32])> + '_ {
        self.subtrees.iter().copied()
    }
}

impl<Context> bincode::Decode<Context> for Tree {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let size = u64::decode(decoder)?;
        let frontier = Vec::decode(decoder)?;
        Self::from_parts(size, frontier)
            .ok_or(DecodeError::Other("the frontier does not fit the size of the tree"))
    }
}

impl<'de, Context> bincode::BorrowDecode<'de, Context> for Tree {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        bincode::Decode::decode(decoder)
    }
}

/// The hash of a leaf: the stored bytes of an event.
pub fn leaf_hash(leaf: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(LEAF).chain_update(leaf).finalize().into()
}

/// The hash of an inner node.
pub fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(NODE).chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 9162, 2.1.1, word for word: split at the largest power of two smaller than the number of leaves.
    fn naive(leaves: &[Vec<u8>]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => leaf_hash(leaf),
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node_hash(&naive(left), &naive(right))
            }
        }
    }

    fn tree(leaves: &[Vec<u8>]) -> Tree {
        let mut tree = Tree::new();
        for leaf in leaves {
            tree.push(leaf);
        }
        tree
    }

    /// The vectors that implementations of RFC 6962 share (Certificate Transparency, `merkle_tree_test`).
    #[test]
    fn shared_vectors() {
        let leaves: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::new();
        for (size, root) in roots.iter().enumerate() {
            assert_eq!(tree.root().to_string(), *root, "size {size}");
            if let Some(leaf) = leaves.get(size) {
                tree.push(leaf);
            }
        }
    }

    #[test]
    fn every_small_size_agrees_with_the_definition() {
        let leaves: Vec<Vec<u8>> = (0..130u8).map(|n| vec![n; usize::from(n)]).collect();
        for size in 0..=leaves.len() {
            assert_eq!(tree(&leaves[..size]).root().0, naive(&leaves[..size]), "size {size}");
        }
    }

    #[test]
    fn a_frontier_of_another_size_is_refused() {
        let whole = tree(&[vec![1], vec![2], vec![3]]);
        let config = bincode::config::standard();
        let mut bytes = bincode::encode_to_vec(&whole, config).unwrap();
        assert_eq!(bincode::decode_from_slice::<Tree, _>(&bytes, config).unwrap().0, whole);
        bytes[0] = 4; // the size: one subtree, not two
        assert!(bincode::decode_from_slice::<Tree, _>(&bytes, config).is_err());
    }

    #[test]
    fn runs_from_any_place_give_the_tree_of_single_leaves() {
        let leaves: Vec<Vec<u8>> = (0..70u8).map(|n| vec![n; usize::from(n)]).collect();
        for start in 0..leaves.len() {
            for end in start..=leaves.len() {
                let mut joined = tree(&leaves[..start]);
                joined.push_run(&LeafRun::new(joined.size(), leaves[start..end].iter().map(Vec::as_slice)));
                assert_eq!(joined, tree(&leaves[..end]), "{start} to {end}");
            }
        }
    }

    proptest! {
        #[test]
        fn frontier_agrees_with_the_definition(
            leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..300),
            stop in 0usize..300,
        ) {
            let stop = stop.min(leaves.len());
            let first = tree(&leaves[..stop]);
            let mut resumed = Tree::from_parts(first.size(), first.frontier().to_vec()).unwrap();
            for leaf in &leaves[stop..] {
                resumed.push(leaf);
            }
            prop_assert_eq!(resumed.root().0, naive(&leaves));
        }
    }
}
