use proptest::prelude::*;

use super::pack::MAX_PACKED_EVENTS;
use super::*;

fn event(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n * n % 251).unwrap()).collect()
}

/// Bytes that no compressor makes shorter: a multiplicative generator, cut to bytes.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[3]
        })
        .collect()
}

fn events_of(frames: &[Frame]) -> Vec<Vec<u8>> {
    frames.iter().flat_map(|frame| frame.decode().unwrap().into_events()).map(|(_, e)| e.to_vec()).collect()
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[CHECKSUM_AT..HEADER_BYTES].fill(0);
    let checksum = crc32fast::hash(&bytes);
    bytes[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// These bytes must decode for ever.
#[test]
fn golden_bytes_of_version_1() {
    let mut tree = Tree::new();
    pack(&mut tree, &[b"before"]).unwrap();
    let frame = pack(&mut tree, &[b"one".as_slice(), b"three"]).unwrap().remove(0);
    let hex = frame.bytes().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
    assert_eq!(
        hex.concat(),
        concat!(
            "01000000",
            "00000002",
            "0000000000000002",
            "0000000000000003",
            "0000000000000001",
            "2f4cb6916fa42005660d363b5da123f6afda6e64f0297462c1e61352215d5ac9",
            "0000000c",
            "0000000c",
            "97d70154",
            "0003",
            "6f6e65",
            "0005",
            "7468726565",
        )
    );
}

#[test]
fn events_that_cannot_be_written_are_refused_and_leave_the_tree() {
    let mut tree = Tree::new();
    let cases = [
        (vec![vec![1], vec![]], PackError::Empty { index: 1 }),
        (vec![vec![1], vec![0; 65_536]], PackError::TooLong { index: 1, length: 65_536 }),
    ];
    for (events, refusal) in cases {
        assert_eq!(pack(&mut tree, &events), Err(refusal));
        assert_eq!(tree, Tree::new());
    }
    assert_eq!(pack::<Vec<u8>>(&mut tree, &[]), Ok(vec![]));
}

#[test]
fn frames_stay_below_the_limit_and_follow_each_other() {
    let batches = [
        vec![vec![7; MAX_EVENT_BYTES]; 5],
        (0..3000).map(|n| noise(n, 116)).collect(),
        vec![vec![9]; 10_000],
        vec![event(300); 2000],
    ];
    for batch in batches {
        let mut tree = Tree::new();
        let frames = pack(&mut tree, &batch).unwrap();
        let mut again = Tree::new();
        for frame in &frames {
            assert!(frame.bytes().len() <= MAX_FRAME_BYTES);
            assert!(usize::try_from(frame.count()).unwrap() <= MAX_PACKED_EVENTS);
            let mut stored = Frame::parse(frame.bytes().to_vec()).unwrap();
            assert_eq!(stored.root_after(), None);
            stored.advance(&mut again).unwrap();
            assert_eq!(stored.root_after(), frame.root_after());
        }
        assert_eq!(again, tree);
        assert_eq!(events_of(&frames), batch);
    }
}

#[test]
fn compressed_only_where_it_pays() {
    let codec = |events: &[Vec<u8>]| pack(&mut Tree::new(), events).unwrap()[0].header().codec;
    assert_eq!(codec(&vec![event(100); 100]), Codec::Lz4);
    assert_eq!(codec(&(0..100).map(|n| noise(n, 100)).collect::<Vec<_>>()), Codec::Plain);
    assert_eq!(codec(&[vec![0; 100]]), Codec::Plain);
}

#[test]
fn reads_from_the_middle() {
    let frame = pack(&mut Tree::new(), &[b"a", b"b", b"c"]).unwrap().remove(0).decode().unwrap();
    let from = |after| frame.events_after(Sequence(after)).map(|(s, e)| (s.0, e[0])).collect::<Vec<_>>();
    assert_eq!(from(0), [(1, b'a'), (2, b'b'), (3, b'c')]);
    assert_eq!(from(1), [(2, b'b'), (3, b'c')]);
    assert_eq!(from(3), []);
    assert_eq!(from(u64::MAX), []);
}

#[test]
fn another_tree_is_refused() {
    let mut frame = pack(&mut Tree::new(), &[b"a"]).unwrap().remove(0);
    let mut tree = Tree::new();
    tree.push(b"x");
    assert!(matches!(frame.advance(&mut tree), Err(FrameError::OtherTree { size: 1, .. })));
}

/// Each rule of the header and the body, broken by itself under a good checksum.
#[test]
fn every_broken_rule_has_its_error() {
    let good = pack(&mut Tree::new(), &[b"one".as_slice(), b"three"]).unwrap()[0].bytes().to_vec();
    let squeezed = pack(&mut Tree::new(), &vec![event(100); 100]).unwrap()[0].bytes().to_vec();
    let broken = |bytes: &[u8], at: usize, value: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = value;
        Frame::parse(sealed(bytes)).and_then(|frame| frame.decode()).unwrap_err().to_string()
    };
    let rows: [(&[u8], usize, u8, &str); 15] = [
        (&good, 0, 0, "format 0"),
        (&good, 0, 2, "newer version"),
        (&good, 1, 9, "codec is unknown"),
        (&good, 2, 1, "reserved"),
        (&good, 7, 0, "no events"),
        (&good, 7, 3, "count is not that"),
        (&good, 15, 0, "first sequence is 0"),
        (&good, 23, 9, "count is not that"),
        (&good, 31, 9, "size of its tree"),
        (&good, 64, 9, "too long"),
        (&good, 67, 5, "too short"),
        (&good, 67, 11, "two lengths differ"),
        (&good, 77, 9, "within an event"),
        (&good, 82, 4, "goes on after the last event"),
        (&squeezed, 67, 1, "does not decompress"),
    ];
    for (bytes, at, value, part) in rows {
        let error = broken(bytes, at, value);
        assert!(error.contains(part), "byte {at}: {error}");
    }
    let mut other = good.clone();
    other[80] ^= 1;
    assert!(matches!(Frame::parse(other), Err(FrameError::Checksum { .. })));
    assert!(matches!(Frame::parse(good[..50].to_vec()), Err(FrameError::Length { .. })));
    assert!(matches!(Frame::parse(vec![]), Err(FrameError::Length { .. })));
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..400), start in any::<bool>()) {
        if start && !bytes.is_empty() {
            bytes[0] = VERSION;
        }
        if let Ok(frame) = Frame::parse(bytes) {
            let _ = frame.decode();
        }
    }

    /// A forger can make the checksum good; the rest still holds or is refused.
    #[test]
    fn bytes_with_a_good_checksum_are_decoded_or_refused(
        at in 0..HEADER_BYTES + 40,
        bytes in prop::collection::vec(any::<u8>(), 1..20),
        squeezed in any::<bool>(),
    ) {
        let events = if squeezed { vec![event(100); 20] } else { (0..20).map(|n| noise(n, 10)).collect() };
        let mut forged = pack(&mut Tree::new(), &events).unwrap()[0].bytes().to_vec();
        for (n, byte) in bytes.iter().enumerate() {
            if let Some(place) = forged.get_mut(at + n) {
                *place = *byte;
            }
        }
        if let Ok(decoded) = Frame::parse(sealed(forged)).and_then(|frame| frame.decode()) {
            prop_assert_eq!(decoded.events().count(), usize::try_from(decoded.count).unwrap());
            prop_assert_eq!(decoded.last.0 - decoded.first.0 + 1, u64::from(decoded.count));
        }
    }

    #[test]
    fn a_flipped_bit_is_always_refused(
        events in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..100), 1..30),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let mut bytes = pack(&mut Tree::new(), &events).unwrap()[0].bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Frame::parse(bytes).is_err());
    }

    #[test]
    fn events_come_back_and_the_tree_agrees(
        events in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..400),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(events.len());
        let mut tree = Tree::new();
        let mut frames = pack(&mut tree, &events[..cut]).unwrap();
        frames.extend(pack(&mut tree, &events[cut..]).unwrap());
        prop_assert_eq!(events_of(&frames), events.clone());
        let mut whole = Tree::new();
        for event in &events {
            whole.push(event);
        }
        prop_assert_eq!(tree, whole);
    }
}
