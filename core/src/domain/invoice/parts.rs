//! Documents as events: lines that are too long for one event come before it, in parts.

use sha2::{Digest, Sha256};

use crate::domain::event::{Event, Stream};

use super::{Invoice, InvoiceFinalised, InvoiceLine, InvoiceLinesRecorded};

/// The most bytes of lines in one event.
pub(super) const PART_BYTES: usize = 48_000;

/// The events that issue a document.
pub(super) fn events(mut invoice: Invoice) -> Vec<(Stream, Event)> {
    let (id, stream) = (invoice.id.clone(), Stream::Invoice(invoice.id.clone()));
    let (parts, lines_digest) = (cut_lines(&invoice.lines), lines_digest(&invoice.lines));
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    if count > 0 {
        invoice.lines = Vec::new();
    }
    let parts = (1..).zip(parts).map(|(part, lines)| {
        Event::InvoiceLinesRecorded(InvoiceLinesRecorded { invoice: id.clone(), part, lines })
    });
    let last = Event::InvoiceFinalised(InvoiceFinalised { invoice, parts: count, lines_digest });
    parts.chain([last]).map(|event| (stream.clone(), event)).collect()
}

/// SHA-256 over all lines in bincode, one after the other.
pub(crate) fn lines_digest(lines: &[InvoiceLine]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for line in lines {
        hasher.update(line_bytes(line));
    }
    hasher.finalize().into()
}

fn line_bytes(line: &InvoiceLine) -> Vec<u8> {
    bincode::encode_to_vec(line, bincode::config::standard()).expect("a line in memory can be encoded")
}

/// The lines in parts, if they are too long for one event.
fn cut_lines(lines: &[InvoiceLine]) -> Vec<Vec<InvoiceLine>> {
    let mut parts: Vec<Vec<InvoiceLine>> = Vec::new();
    let mut room = 0;
    for line in lines {
        let bytes = line_bytes(line).len();
        if bytes > room {
            parts.push(Vec::new());
            room = PART_BYTES;
        }
        room = room.saturating_sub(bytes);
        if let Some(part) = parts.last_mut() {
            part.push(line.clone());
        }
    }
    if parts.len() < 2 { Vec::new() } else { parts }
}
