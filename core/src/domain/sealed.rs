//! Values the log may hold only as ciphertext: parameters, connection parameters, error texts, names, addresses.
//!
//! They are sealed at the edge under a key of their subject; the key ring is kept outside the log. Decisions
//! compare digests, which are keyed with the same key, so that destroying it leaves nothing to guess against.

use bincode::{Decode, Encode};
use serde::Serialize;

use super::id::KeyId;

/// A sealed value: XChaCha20-Poly1305 under the key named, the key's id being the associated data.
#[derive(Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Sealed {
    /// The key of the subject.
    pub key: KeyId,
    /// HMAC-SHA-256 of the plain value under the key, first 16 bytes.
    #[serde(serialize_with = "hex")]
    pub digest: [u8; 16],
    /// Fresh for each sealing.
    #[serde(skip)]
    pub nonce: [u8; 24],
    /// Ciphertext and tag.
    #[serde(skip)]
    pub ciphertext: Vec<u8>,
}

impl Sealed {
    /// Whether both hold the same plain value; false for values under different keys.
    pub fn same_content(&self, other: &Self) -> bool {
        self.key == other.key && self.digest == other.digest
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} under {})", HexText(&self.digest), self.key)
    }
}

struct HexText<'a>(&'a [u8]);

impl std::fmt::Display for HexText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

pub(crate) fn hex<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&HexText(bytes))
}
