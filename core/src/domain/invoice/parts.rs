//! Documents as events: lines that are too long for one event come before it, in parts.

use sha2::{Digest, Sha256};

use crate::domain::event::{Event, Stream};

use super::{Invoice, InvoiceFinalised, InvoiceLine, InvoiceLinesRecorded};

/// The most bytes of lines in one event.
pub(super) const PART_BYTES: usize = 48_000;

/// The events that issue a document.
pub(super) fn events(mut invoice: Invoice) -> Vec<(Stream, Event)> {
    let (id, stream) = (invoice.id.clone(), Stream::Invoice(invoice.id.clone()));
    // Each line is encoded once, for its length and for the digest.
    let mut digest = Sha256::new();
    let lengths: Vec<usize> = invoice.lines.iter().map(|line| take_in(&mut digest, line)).collect();
    let parts = cut(&mut invoice.lines, &lengths);
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let parts = (1..).zip(parts).map(|(part, lines)| {
        Event::InvoiceLinesRecorded(InvoiceLinesRecorded { invoice: id.clone(), part, lines })
    });
    let lines_digest = digest.finalize().into();
    let last = Event::InvoiceFinalised(Box::new(InvoiceFinalised { invoice, parts: count, lines_digest }));
    parts.chain([last]).map(|event| (stream.clone(), event)).collect()
}

/// SHA-256 over all lines in bincode, one after the other.
pub fn lines_digest(lines: &[InvoiceLine]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for line in lines {
        take_in(&mut digest, line);
    }
    digest.finalize().into()
}

/// Whether a document has this digest of its lines, as they are written today or as version 2 of its event wrote them: what it
/// had no place for must not be there.
pub fn has_lines_digest(lines: &[InvoiceLine], wanted: [u8; 32]) -> bool {
    lines_digest(lines) == wanted || second_lines_digest(lines) == Some(wanted)
}

fn second_lines_digest(lines: &[InvoiceLine]) -> Option<[u8; 32]> {
    let mut digest = Sha256::new();
    for line in lines {
        let InvoiceLine { price_override: None, reduces: None, .. } = line else { return None };
        let first = (line.n, &line.kind, line.instance, &line.dimensions, &line.description, line.period);
        let second = (line.quantity, &line.unit, line.unit_price, &line.steps, line.amount, line.residue);
        let third = (&line.price_book, line.rate, &line.tax, &line.events, &line.cites);
        let bytes = bincode::encode_to_vec((first, second, third), bincode::config::standard());
        digest.update(bytes.expect("a line in memory can be encoded"));
    }
    Some(digest.finalize().into())
}

/// Takes a line into a digest; returns how long it is in bincode.
fn take_in(digest: &mut Sha256, line: &InvoiceLine) -> usize {
    let bytes = bincode::encode_to_vec(line, bincode::config::standard());
    let bytes = bytes.expect("a line in memory can be encoded");
    digest.update(&bytes);
    bytes.len()
}

/// Takes the lines out in parts, if they are too long for one event.
fn cut(lines: &mut Vec<InvoiceLine>, lengths: &[usize]) -> Vec<Vec<InvoiceLine>> {
    if lengths.iter().sum::<usize>() <= PART_BYTES {
        return Vec::new();
    }
    let mut parts: Vec<Vec<InvoiceLine>> = Vec::new();
    let mut room = 0;
    for (line, length) in std::mem::take(lines).into_iter().zip(lengths) {
        if *length > room {
            parts.push(Vec::new());
            room = PART_BYTES;
        }
        room = room.saturating_sub(*length);
        if let Some(part) = parts.last_mut() {
            part.push(line);
        }
    }
    parts
}
