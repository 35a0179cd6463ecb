//! Secrets of 32 bytes, and what is made with them: subkeys, digests, and bytes sealed or wrapped.
//!
//! Invariants: a secret shows itself to nobody (no `Debug` of its bytes, no error holds it) and is overwritten when
//! dropped; each purpose has a subkey of its own, so that what is made for one says nothing about another. The
//! copies that a compiler or an allocator leaves behind are out of reach.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

use super::KeyRingFault;

pub(super) const SECRET_BYTES: usize = 32;
/// Of `XChaCha20`: long enough to be drawn at random.
pub(super) const NONCE_BYTES: usize = 24;
/// Of Poly1305.
pub(super) const TAG_BYTES: usize = 16;

/// See the module.
#[derive(Clone)]
pub(super) struct Secret(pub(super) [u8; SECRET_BYTES]);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    pub(super) fn random() -> Result<Self, KeyRingFault> {
        random().map(Self)
    }

    /// The subkey for a purpose.
    pub(super) fn subkey(&self, purpose: &str) -> Self {
        let mut mac = self.mac();
        mac.update(purpose.as_bytes());
        Self(mac.finalize().into_bytes().into())
    }

    /// HMAC-SHA-256 of the parts, each after its length, first 16 bytes.
    pub(super) fn digest_of_parts(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut mac = self.mac();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        first_half(mac)
    }

    /// HMAC-SHA-256, first 16 bytes.
    pub(super) fn digest(&self, plain: &[u8]) -> [u8; 16] {
        let mut mac = self.mac();
        mac.update(plain);
        first_half(mac)
    }

    /// Ciphertext and tag.
    pub(super) fn encrypt(&self, nonce: &[u8; NONCE_BYTES], about: &[u8], plain: &[u8]) -> Vec<u8> {
        let payload = Payload { msg: plain, aad: about };
        self.cipher()
            .encrypt(nonce.into(), payload)
            .expect("a value in memory is shorter than the 256 GiB limit")
    }

    /// The plain bytes, if tag and `about` are what they were.
    pub(super) fn decrypt(&self, nonce: &[u8; NONCE_BYTES], about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.cipher().decrypt(nonce.into(), Payload { msg: sealed, aad: about }).ok()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }

    fn mac(&self) -> Hmac<Sha256> {
        Mac::new_from_slice(&self.0).expect("HMAC takes keys of any length")
    }
}

fn first_half(mac: Hmac<Sha256>) -> [u8; 16] {
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// Bytes nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], KeyRingFault> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|cause| KeyRingFault::NoRandomness { cause })?;
    Ok(bytes)
}
