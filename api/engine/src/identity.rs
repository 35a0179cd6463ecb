//! What this program is called, and ids and secrets of what is new.

/// Name and version of this program.
pub const PROGRAM: &str = concat!("slapledger ", env!("CARGO_PKG_VERSION"));

/// Sixteen random bytes, as the id of something new.
#[expect(clippy::disallowed_methods, reason = "this is the edge")]
pub fn random_id() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

/// Random bytes.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes
}
