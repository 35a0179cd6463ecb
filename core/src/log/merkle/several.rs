//! One proof that several events are in the log.
//!
//! The proof is the hashes of the largest parts of the tree that hold none of the leaves, in their order. Whoever has
//! the leaves walks the tree as RFC 9162 splits it, takes the next hash for each part without a leaf, and comes to the
//! root. Leaves that are near each other share hashes, so that a thousand leaves need far fewer than a thousand proofs.

use super::proof::{ProofFault, SubtreeHashes, left_part, range};
use super::{Root, node_hash};

/// The hashes that lead from leaves to the root of the first `size` leaves. The leaves rise, and are below `size`.
pub fn inclusion_of_several<H: SubtreeHashes>(
    hashes: &mut H,
    leaves: &[u64],
    size: u64,
) -> Result<Vec<[u8; 32]>, H::Fault> {
    let mut found = Vec::new();
    if size > 0 {
        collect(hashes, leaves, (0, size), &mut found)?;
    }
    Ok(found)
}

fn collect<H: SubtreeHashes>(
    hashes: &mut H,
    leaves: &[u64],
    (start, stop): (u64, u64),
    found: &mut Vec<[u8; 32]>,
) -> Result<(), H::Fault> {
    if leaves.is_empty() {
        found.push(range(hashes, start, stop)?);
        return Ok(());
    }
    if stop - start == 1 {
        return Ok(());
    }
    let middle = start + left_part(stop - start);
    let (left, right) = leaves.split_at(leaves.partition_point(|leaf| *leaf < middle));
    collect(hashes, left, (start, middle), found)?;
    collect(hashes, right, (middle, stop), found)
}

/// The root that leaves and the hashes beside them lead to. Leaves rise by their places.
pub fn root_of_several(
    leaves: &[(u64, [u8; 32])],
    size: u64,
    hashes: &[[u8; 32]],
) -> Result<Root, ProofFault> {
    if let Some((leaf, _)) = leaves.iter().find(|(leaf, _)| *leaf >= size) {
        return Err(ProofFault::NoLeaf { leaf: *leaf, size });
    }
    if let Some(pair) = leaves.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        return Err(ProofFault::Order { leaf: pair[1].0 });
    }
    if size == 0 {
        return if hashes.is_empty() {
            Ok(Root::EMPTY)
        } else {
            Err(ProofFault::Length { found: hashes.len() })
        };
    }
    let mut rest = hashes.iter();
    let root = fold(leaves, (0, size), &mut rest).filter(|_| rest.as_slice().is_empty());
    root.map(Root).ok_or(ProofFault::Length { found: hashes.len() })
}

/// The depth is at most 64: each step halves the part.
fn fold(
    leaves: &[(u64, [u8; 32])],
    (start, stop): (u64, u64),
    rest: &mut std::slice::Iter<'_, [u8; 32]>,
) -> Option<[u8; 32]> {
    let Some((_, hash)) = leaves.first() else { return rest.next().copied() };
    if stop - start == 1 {
        return Some(*hash);
    }
    let middle = start + left_part(stop - start);
    let (left, right) = leaves.split_at(leaves.partition_point(|(leaf, _)| *leaf < middle));
    let left = fold(left, (start, middle), rest)?;
    Some(node_hash(&left, &fold(right, (middle, stop), rest)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::proof::tests::{leaves, root_of};
    use super::*;

    #[test]
    fn any_leaves_of_small_trees_are_proved_together() {
        for size in 0..12_u64 {
            let mut hashes = leaves(size);
            for chosen in 0..1_u64 << size {
                let places: Vec<u64> = (0..size).filter(|leaf| chosen >> leaf & 1 == 1).collect();
                let path = inclusion_of_several(&mut hashes, &places, size).expect("at hand");
                let known: Vec<(u64, [u8; 32])> =
                    places.iter().map(|leaf| (*leaf, hashes.hash_of(*leaf))).collect();
                assert_eq!(root_of_several(&known, size, &path), Ok(root_of(size)), "{places:?} of {size}");
            }
        }
    }

    #[test]
    fn leaves_that_cannot_be_are_named() {
        let hash = [0; 32];
        assert_eq!(root_of_several(&[(3, hash)], 3, &[]), Err(ProofFault::NoLeaf { leaf: 3, size: 3 }));
        let twice = [(1, hash), (1, hash)];
        assert_eq!(root_of_several(&twice, 3, &[]), Err(ProofFault::Order { leaf: 1 }));
        assert_eq!(root_of_several(&[(1, hash)], 3, &[hash]), Err(ProofFault::Length { found: 1 }));
        assert_eq!(root_of_several(&[], 0, &[hash]), Err(ProofFault::Length { found: 1 }));
    }

    proptest! {
        #[test]
        fn a_changed_proof_of_several_leads_elsewhere(
            size in 2_u64..300, chosen in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
            at: prop::sample::Index, bit in 0_usize..256,
        ) {
            let count = usize::try_from(size).expect("small");
            let mut places: Vec<u64> = chosen.iter().map(|index| index.index(count) as u64).collect();
            places.sort_unstable();
            places.dedup();
            let mut hashes = leaves(size);
            let mut path = inclusion_of_several(&mut hashes, &places, size).expect("at hand");
            let mut known: Vec<(u64, [u8; 32])> =
                places.iter().map(|leaf| (*leaf, hashes.hash_of(*leaf))).collect();
            prop_assert_eq!(root_of_several(&known, size, &path), Ok(root_of(size)));
            let changed = at.index(path.len() + known.len());
            let hash = match changed.checked_sub(path.len()) {
                None => &mut path[changed],
                Some(leaf) => &mut known[leaf].1,
            };
            hash[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(root_of_several(&known, size, &path), Ok(root_of(size)));
            path.push([7; 32]);
            prop_assert!(root_of_several(&known, size, &path).is_err());
        }
    }
}
