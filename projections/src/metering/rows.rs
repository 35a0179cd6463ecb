//! The bytes of intervals in a snapshot: what differs from the interval before.
//!
//! Reports of one series mostly follow each other, are equally long and have few decimals. Such an interval takes 6 to 8
//! bytes instead of the 32 in memory, so that a snapshot of 50 million is written and read in a second or two.
//!
//! An interval is a byte of flags and varints: how far its sequence is ahead of the one before; its start since the stop
//! before, if there is time between; its length, if it is another; its amount in the largest power of 1000 that divides it.

use integer_encoding::VarInt;

use super::series::Interval;

/// It starts when the one before stopped.
const FOLLOWS: u8 = 1;
/// It is as long as the one before.
const SAME_LENGTH: u8 = 1 << 1;
/// How often its amount was divided by 1000: two bits.
const SCALE_SHIFT: u32 = 2;
const MOST_SCALE: u8 = 3;
/// The three flags of its tag.
const TAG_SHIFT: u32 = 4;
const KNOWN: u8 = (1 << 7) - 1;

/// No interval takes more: flags and five varints, with the event that replaced it.
pub(super) const MOST_BYTES: usize = 1 + 5 * 10;

/// The interval before: its sequence, stop and length.
#[derive(Debug, Default)]
pub(super) struct Before {
    sequence: u64,
    stop: i64,
    length: i64,
}

impl Before {
    /// Writes the next interval.
    pub(super) fn write(&mut self, interval: &Interval, out: &mut Vec<u8>) {
        let Interval { start, stop, amount, .. } = *interval;
        let length = stop.wrapping_sub(start);
        let (scale, amount) = scaled(amount);
        let mut flags = (scale << SCALE_SHIFT) | (interval.flags() << TAG_SHIFT);
        if start == self.stop {
            flags |= FOLLOWS;
        }
        if length == self.length {
            flags |= SAME_LENGTH;
        }
        out.push(flags);
        put(interval.sequence().wrapping_sub(self.sequence).cast_signed(), out);
        if flags & FOLLOWS == 0 {
            put(start.wrapping_sub(self.stop), out);
        }
        if flags & SAME_LENGTH == 0 {
            put(length, out);
        }
        put(amount, out);
        *self = Self { sequence: interval.sequence(), stop, length };
    }

    /// Reads the next interval, which goes from the front of `bytes`; `None` if it is not one.
    pub(super) fn read(&mut self, bytes: &mut &[u8]) -> Option<Interval> {
        let (flags, rest) = bytes.split_first()?;
        *bytes = rest;
        if flags & !KNOWN != 0 {
            return None;
        }
        let sequence = self.sequence.wrapping_add(take::<i64>(bytes)?.cast_unsigned());
        let start = if flags & FOLLOWS == 0 { self.stop.wrapping_add(take(bytes)?) } else { self.stop };
        let length = if flags & SAME_LENGTH == 0 { take(bytes)? } else { self.length };
        let scale = (flags >> SCALE_SHIFT) & MOST_SCALE;
        let amount = take::<i64>(bytes)?.checked_mul(1000_i64.pow(scale.into()))?;
        let stop = start.wrapping_add(length);
        *self = Self { sequence, stop, length };
        Interval::of_parts(sequence, flags >> TAG_SHIFT, (start, stop), amount)
    }
}

/// Writes a varint.
pub(super) fn put(number: impl VarInt, out: &mut Vec<u8>) {
    let mut bytes = [0; 10];
    let length = number.encode_var(&mut bytes);
    out.extend_from_slice(&bytes[..length]);
}

/// Reads a varint, which goes from the front of `bytes`.
pub(super) fn take<N: VarInt>(bytes: &mut &[u8]) -> Option<N> {
    let (number, length) = N::decode_var(bytes)?;
    *bytes = &bytes[length..];
    Some(number)
}

/// An amount in the largest power of 1000 that divides it, and which.
fn scaled(mut amount: i64) -> (u8, i64) {
    let mut scale = 0;
    while scale < MOST_SCALE && amount != 0 && amount % 1000 == 0 {
        amount /= 1000;
        scale += 1;
    }
    (scale, amount)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arbitrary() -> impl Strategy<Value = Interval> {
        let time = prop_oneof![Just(0), Just(900_000_000), any::<i64>()];
        let amount = prop_oneof![Just(0), -100_000_i64..100_000, any::<i64>()];
        let scaled = (amount, 0..4_u32).prop_map(|(n, k)| n.saturating_mul(1000_i64.pow(k)));
        let of = |(tag, start, stop, amount)| Interval { tag, start, stop, amount };
        (any::<u64>(), time.clone(), time, scaled).prop_map(of)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(intervals in prop::collection::vec(arbitrary(), 0..40)) {
            let (mut bytes, mut before) = (Vec::new(), Before::default());
            for interval in &intervals {
                let length = bytes.len();
                before.write(interval, &mut bytes);
                prop_assert!(bytes.len() - length <= MOST_BYTES - 10);
            }
            let (mut rest, mut before) = (&*bytes, Before::default());
            for interval in &intervals {
                prop_assert_eq!(before.read(&mut rest), Some(*interval));
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (mut rest, mut before) = (&*bytes, Before::default());
            while before.read(&mut rest).is_some() {}
        }
    }

    #[test]
    fn a_usual_interval_takes_few_bytes() {
        const QUARTER: i64 = 900_000_000;
        let (mut bytes, mut before) = (Vec::new(), Before::default());
        let interval = |n: i64, amount| Interval {
            tag: n.cast_unsigned() * 4000,
            start: n * QUARTER,
            stop: (n + 1) * QUARTER,
            amount,
        };
        before.write(&interval(1, 1), &mut bytes);
        bytes.clear();
        before.write(&interval(2, 12_005_000_000), &mut bytes);
        assert_eq!(bytes, [FOLLOWS | SAME_LENGTH | (2 << SCALE_SHIFT), 0xc0, 0x3e, 0xca, 0xbb, 0x01]);
    }
}
