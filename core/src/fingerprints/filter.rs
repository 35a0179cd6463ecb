//! A blocked Bloom filter: whether a run may hold a fingerprint, at the price of one line of cache.
//!
//! Invariants: it never denies what was added; of what was not, it lets about 4 in 1000 through. A block has 512
//! bits, and an entry sets one bit in each of its eight words. Fingerprints are uniform already: the upper half,
//! scaled, names the block, so that filling it in order goes through memory in order; the lower half names the bits.

use super::Fingerprint;

/// 12 bits for each entry.
const ENTRIES_PER_BLOCK: u64 = 42;
const WORDS: usize = 8;
pub(super) const BLOCK_BYTES: usize = WORDS * 8;

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct FilterBlock([u64; WORDS]);

#[derive(Debug)]
pub(super) struct IdentityFilter {
    blocks: Vec<FilterBlock>,
}

impl IdentityFilter {
    /// For at most so many entries.
    pub(super) fn for_entries(entries: u64) -> Self {
        Self::of_blocks(entries.div_ceil(ENTRIES_PER_BLOCK).max(1))
    }

    fn of_blocks(blocks: u64) -> Self {
        let blocks = usize::try_from(blocks).expect("a filter fits in memory");
        Self { blocks: vec![FilterBlock([0; WORDS]); blocks] }
    }

    pub(super) fn add(&mut self, fingerprint: Fingerprint) {
        let at = self.block_of(fingerprint);
        let mut bits = lower_half(fingerprint);
        for word in &mut self.blocks[at].0 {
            *word |= 1 << (bits & 63);
            bits >>= 6;
        }
    }

    #[inline]
    pub(super) fn may_hold(&self, fingerprint: Fingerprint) -> bool {
        let mut bits = lower_half(fingerprint);
        let mut all = 1;
        // No early exit: it would be mispredicted half the time.
        for word in &self.blocks[self.block_of(fingerprint)].0 {
            all &= word >> (bits & 63);
            bits >>= 6;
        }
        all == 1
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the upper half, scaled to the number of blocks")]
    fn block_of(&self, fingerprint: Fingerprint) -> usize {
        (((fingerprint >> 64) * self.blocks.len() as u128) >> 64) as usize
    }

    /// How many bytes [`IdentityFilter::bytes`] gives.
    pub(super) fn size(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    /// Its bytes, block by block.
    pub(super) fn bytes(&self) -> impl Iterator<Item = [u8; BLOCK_BYTES]> + '_ {
        self.blocks.iter().map(|block| {
            let mut bytes = [0; BLOCK_BYTES];
            for (to, word) in bytes.chunks_exact_mut(8).zip(block.0) {
                to.copy_from_slice(&word.to_be_bytes());
            }
            bytes
        })
    }

    /// A filter of the blocks a source gives one by one.
    pub(super) fn read<E>(
        blocks: u64,
        mut next: impl FnMut() -> Result<[u8; BLOCK_BYTES], E>,
    ) -> Result<Self, E> {
        let mut filter = Self::of_blocks(blocks);
        for block in &mut filter.blocks {
            let bytes = next()?;
            for (word, from) in block.0.iter_mut().zip(bytes.as_chunks().0) {
                *word = u64::from_be_bytes(*from);
            }
        }
        Ok(filter)
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn lower_half(fingerprint: Fingerprint) -> u64 {
    fingerprint as u64
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::super::tests::fingerprint;
    use super::*;

    #[test]
    fn holds_what_was_added_and_little_else() {
        let mut filter = IdentityFilter::for_entries(100_000);
        (0..100_000).for_each(|n| filter.add(fingerprint(n)));
        assert!((0..100_000).all(|n| filter.may_hold(fingerprint(n))));
        let passed = (100_000..1_100_000).filter(|n| filter.may_hold(fingerprint(*n))).count();
        assert!(passed < 6_000, "{passed} of a million");
    }

    #[test]
    fn comes_back_from_its_bytes() {
        let mut filter = IdentityFilter::for_entries(1000);
        (0..1000).for_each(|n| filter.add(fingerprint(n)));
        let mut bytes = filter.bytes();
        let mut next = || Ok::<_, Infallible>(bytes.next().unwrap());
        let Ok(read) = IdentityFilter::read(filter.size() as u64 / BLOCK_BYTES as u64, &mut next);
        assert!(bytes.next().is_none());
        assert!((0..50_000).all(|n| filter.may_hold(fingerprint(n)) == read.may_hold(fingerprint(n))));
    }
}
