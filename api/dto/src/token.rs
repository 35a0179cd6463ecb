//! Tokens as they are shown, once: `slap_<credential>_<secret>`.
//!
//! The credential is public and finds what is known of the token; the secret proves it. Of the secret the log has a
//! SHA-256 digest: with 256 random bits there is nothing to guess, so that no slow hash is needed.

use std::fmt;

use sha2::{Digest, Sha256};
use slapledger_core::domain::id::CredentialId;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const PREFIX: &str = "slap_";

/// A token.
#[derive(Clone)]
pub struct Token {
    /// Which credential it is.
    pub credential: CredentialId,
    secret: Zeroizing<[u8; 32]>,
}

impl Token {
    /// One of this credential and this secret, which is random.
    pub fn new(credential: CredentialId, secret: [u8; 32]) -> Self {
        Self { credential, secret: Zeroizing::new(secret) }
    }

    /// The token of this text, if it has the form of one.
    pub fn read(text: &str) -> Option<Self> {
        let (credential, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let digits = secret.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let digit = |digit: u8| match digit {
                b'0'..=b'9' => Some(digit - b'0'),
                b'a'..=b'f' => Some(digit - b'a' + 10),
                _ => None,
            };
            *byte = digit(pair[0])? * 16 + digit(pair[1])?;
        }
        Some(Self { credential: credential.parse().ok()?, secret: bytes })
    }

    /// What is kept of it.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(*self.secret).into()
    }

    /// Whether it is the token of which this was kept; takes as long whatever the answer.
    pub fn is(&self, digest: &[u8; 32]) -> bool {
        self.digest().ct_eq(digest).into()
    }

    /// Its text, to be shown once.
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = format!("{PREFIX}{}_", self.credential);
        for byte in self.secret.iter() {
            use fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
        }
        Zeroizing::new(text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(seed: u8) -> Token {
        Token::new(CredentialId([seed; 16]), [seed ^ 0x5a; 32])
    }

    #[test]
    fn a_token_reads_as_it_was_shown_and_nothing_else_does() {
        let token = token(1);
        let text = token.text();
        let read = Token::read(&text).expect("it is one");
        assert_eq!(read.credential, token.credential);
        assert!(read.is(&token.digest()));
        assert!(!self::token(2).is(&token.digest()));
        assert_ne!(*self::token(2).text(), *text);
        let changed = text.replace("slap_", "slop_");
        for wrong in [
            "",
            "slap_",
            "slap__",
            &text[..text.len() - 1],
            &format!("{}0", *text),
            &text.to_uppercase(),
            &changed,
        ] {
            assert!(Token::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn nothing_of_the_secret_is_written_by_accident() {
        let token = token(1);
        let secret = token.text().rsplit_once('_').map(|(_, secret)| secret.to_owned()).expect("a secret");
        assert!(!format!("{token:?}").contains(&secret));
    }
}
