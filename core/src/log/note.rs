//! Signed notes (C2SP signed-note): a text with signatures of named keys below it.
//!
//! A note is text, an empty line, and one line for each signature: an em dash, the name of the key, and in base64 the
//! four bytes that tell keys of one name apart, with the signature. Signatures are Ed25519: of the text as it is
//! (type 1, of a log), or with the time at which a witness saw it (type 4, C2SP tlog-cosignature).
//!
//! Nothing here believes a note: [`SignedNote::parse`] takes it apart, [`Verifier`] says who signed it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest, Sha256};

/// The most bytes of a note that is read.
pub const MAX_BYTES: usize = 64 * 1024;
/// The most signatures of a note that is read.
pub const MAX_SIGNATURES: usize = 100;
const DASH: &str = "\u{2014} ";

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignatureKind {
    /// The text of the note, as a log does.
    Log = 1,
    /// The text and the time at which a witness saw it.
    Cosignature = 4,
}

/// Why something is no note, no key, or not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteFault {
    /// It is not written as a note.
    #[error("not a signed note: {0}")]
    Form(&'static str),
    /// It is not written as a key.
    #[error("not a key as NAME+ID+KEY: {0}")]
    Key(&'static str),
    /// The key signed nothing of it.
    #[error("there is no signature of {name} on it")]
    NotSigned {
        /// The name of the key.
        name: Box<str>,
    },
    /// The signature is not one of this text by this key.
    #[error("the signature of {name} is not one of this text")]
    BadSignature {
        /// The name of the key.
        name: Box<str>,
    },
}

/// A text with signatures that nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: Box<str>,
    signatures: Vec<NoteSignature>,
}

/// A line of a note below its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: Box<str>,
    /// What tells it from other keys of that name.
    pub key: [u8; 4],
    /// The signature, and whatever stands before it.
    pub bytes: Vec<u8>,
}

impl SignedNote {
    /// A text that nobody has signed. It must end with a line break and have no empty line.
    pub fn unsigned(text: &str) -> Result<Self, NoteFault> {
        check_text(text)?;
        Ok(Self { text: text.into(), signatures: Vec::new() })
    }

    /// Takes a note apart.
    pub fn parse(note: &str) -> Result<Self, NoteFault> {
        if note.len() > MAX_BYTES {
            return Err(NoteFault::Form("it is longer than 64 KiB"));
        }
        let (text, lines) =
            note.split_once("\n\n").ok_or(NoteFault::Form("it has no empty line before signatures"))?;
        let text = format!("{text}\n");
        check_text(&text)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteFault::Form("it does not end with a line break"))?;
        let signatures = lines.split('\n').map(str::parse).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteFault::Form("it has more than 100 signatures"));
        }
        Ok(Self { text: text.into(), signatures })
    }

    /// What is signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in their order.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature, unless that key has signed already.
    pub fn add(&mut self, signature: NoteSignature) {
        let known =
            self.signatures.iter().any(|known| (&known.name, known.key) == (&signature.name, signature.key));
        if !known {
            self.signatures.push(signature);
        }
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key[..], &self.bytes].concat();
        write!(f, "{DASH}{} {}", self.name, BASE64.encode(bytes))
    }
}

impl FromStr for NoteSignature {
    type Err = NoteFault;

    fn from_str(line: &str) -> Result<Self, NoteFault> {
        let fault = || NoteFault::Form("a line below the text is no signature");
        let (name, encoded) =
            line.strip_prefix(DASH).and_then(|line| line.split_once(' ')).ok_or_else(fault)?;
        if !is_name(name) {
            return Err(fault());
        }
        let bytes = BASE64.decode(encoded).map_err(|_| fault())?;
        let (key, bytes) = bytes.split_first_chunk().ok_or_else(fault)?;
        Ok(Self { name: name.into(), key: *key, bytes: bytes.to_vec() })
    }
}

fn check_text(text: &str) -> Result<(), NoteFault> {
    let is_line_break_alone = |character: char| character == '\n' || !character.is_control();
    if !text.ends_with('\n') || text.contains("\n\n") || text.starts_with('\n') {
        return Err(NoteFault::Form("its text must be lines without an empty one"));
    }
    if !text.chars().all(is_line_break_alone) {
        return Err(NoteFault::Form("its text has control characters"));
    }
    Ok(())
}

/// Whether a text may name a key: no space, no plus sign, not empty.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|character| !character.is_whitespace() && !character.is_control() && character != '+')
}

/// A key that signs notes.
pub struct Signer {
    verifier: Verifier,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// The key of a name from 32 secret bytes.
    pub fn new(name: &str, kind: SignatureKind, seed: &[u8; 32]) -> Result<Self, NoteFault> {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteFault::Key("the seed has 32 bytes"))?;
        Self::of(name, kind, pair)
    }

    /// The key of a name from its PKCS #8 form.
    pub fn from_pkcs8(name: &str, kind: SignatureKind, der: &[u8]) -> Result<Self, NoteFault> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
        Self::of(name, kind, pair.map_err(|_| NoteFault::Key("it is no Ed25519 key in PKCS #8"))?)
    }

    fn of(name: &str, kind: SignatureKind, pair: Ed25519KeyPair) -> Result<Self, NoteFault> {
        let public =
            pair.public_key().as_ref().try_into().map_err(|_| NoteFault::Key("a key has 32 bytes"))?;
        Ok(Self { verifier: Verifier::new(name, kind, public)?, pair })
    }

    /// The public part.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Signs a text; a witness says when, in seconds since 1970.
    pub fn sign(&self, text: &str, time: u64) -> NoteSignature {
        let Verifier { name, kind, .. } = &self.verifier;
        let bytes = match kind {
            SignatureKind::Log => self.pair.sign(text.as_bytes()).as_ref().to_vec(),
            SignatureKind::Cosignature => {
                let signature = self.pair.sign(&cosigned(text, time));
                [&time.to_be_bytes()[..], signature.as_ref()].concat()
            }
        };
        NoteSignature { name: name.clone(), key: self.verifier.id(), bytes }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

/// What a witness signs.
fn cosigned(text: &str, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// The public key of a log or of a witness. As text it is `NAME+ID+KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: Box<str>,
    kind: SignatureKind,
    public: [u8; 32],
}

impl Verifier {
    /// The key of a name.
    pub fn new(name: &str, kind: SignatureKind, public: [u8; 32]) -> Result<Self, NoteFault> {
        if !is_name(name) {
            return Err(NoteFault::Key("a name has no space and no plus sign"));
        }
        Ok(Self { name: name.into(), kind, public })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    pub fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// Its 32 bytes.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// What tells it from other keys of its name.
    pub fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', self.kind as u8])
            .chain_update(self.public)
            .finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// Checks that this key signed a note; of a witness, when, in seconds since 1970.
    pub fn check(&self, note: &SignedNote) -> Result<Option<u64>, NoteFault> {
        let of_key = |signature: &&NoteSignature| signature.name == self.name && signature.key == self.id();
        let signature = note
            .signatures()
            .iter()
            .find(of_key)
            .ok_or_else(|| NoteFault::NotSigned { name: self.name.clone() })?;
        let bad = || NoteFault::BadSignature { name: self.name.clone() };
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        match self.kind {
            SignatureKind::Log => {
                key.verify(note.text().as_bytes(), &signature.bytes).map_err(|_| bad())?;
                Ok(None)
            }
            SignatureKind::Cosignature => {
                let (time, signed) = signature.bytes.split_first_chunk().ok_or_else(bad)?;
                let time = u64::from_be_bytes(*time);
                key.verify(&cosigned(note.text(), time), signed).map_err(|_| bad())?;
                Ok(Some(time))
            }
        }
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id());
        let key = [&[self.kind as u8][..], &self.public].concat();
        write!(f, "{}+{id:08x}+{}", self.name, BASE64.encode(key))
    }
}

impl FromStr for Verifier {
    type Err = NoteFault;

    fn from_str(text: &str) -> Result<Self, NoteFault> {
        let fault = || NoteFault::Key("it has three parts, the last in base64");
        let mut parts = text.trim_end_matches('\n').splitn(3, '+');
        let mut part = || parts.next().ok_or_else(fault);
        let (name, id, key) = (part()?, part()?, part()?);
        let key = BASE64.decode(key).map_err(|_| fault())?;
        let (kind, public) = key.split_first().ok_or_else(fault)?;
        let kind = match kind {
            1 => SignatureKind::Log,
            4 => SignatureKind::Cosignature,
            _ => return Err(NoteFault::Key("its kind is not Ed25519 (1) or a cosignature (4)")),
        };
        let public = public.try_into().map_err(|_| NoteFault::Key("an Ed25519 key has 32 bytes"))?;
        let verifier = Self::new(name, kind, public)?;
        if format!("{:08x}", u32::from_be_bytes(verifier.id())) != id {
            return Err(NoteFault::Key("the id is not that of the key"));
        }
        Ok(verifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The note of Go's `golang.org/x/mod/sumdb/note`, its keys and its signature.
    const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_of_go_is_read_and_checked() {
        let key: Verifier = GO_KEY.parse().expect("a key");
        let note = SignedNote::parse(GO_NOTE).expect("a note");
        assert_eq!(key.check(&note), Ok(None));
        assert_eq!((key.to_string(), note.to_string()), (GO_KEY.into(), GO_NOTE.into()));
        let other = GO_NOTE.replace("answer", "reason");
        let bad = NoteFault::BadSignature { name: "PeterNeumann".into() };
        assert_eq!(key.check(&SignedNote::parse(&other).expect("a note")), Err(bad));
    }

    fn signer(name: &str, kind: SignatureKind) -> Signer {
        Signer::new(name, kind, &[7; 32]).expect("a key")
    }

    #[test]
    fn a_log_signs_and_a_witness_adds_the_time() {
        let (log, witness) = (
            signer("example.org/log", SignatureKind::Log),
            signer("witness.example", SignatureKind::Cosignature),
        );
        let mut note = SignedNote::unsigned("a\nb\n").expect("a text");
        assert_eq!(log.verifier().check(&note), Err(NoteFault::NotSigned { name: "example.org/log".into() }));
        note.add(log.sign(note.text(), 0));
        note.add(witness.sign(note.text(), 1_790_000_000));
        note.add(log.sign(note.text(), 0));
        assert_eq!(note.signatures().len(), 2);
        let note = SignedNote::parse(&note.to_string()).expect("a note");
        assert_eq!(log.verifier().check(&note), Ok(None));
        let witness: Verifier = witness.verifier().to_string().parse().expect("a key");
        assert_eq!(witness.check(&note), Ok(Some(1_790_000_000)));
        let mut later = note.clone();
        later.signatures[1].bytes[7] ^= 1;
        assert_eq!(witness.check(&later), Err(NoteFault::BadSignature { name: "witness.example".into() }));
    }

    #[test]
    fn what_is_no_note_and_no_key_is_told() {
        for text in [
            "",
            "a",
            "a\n",
            "a\n\n",
            "a\n\nb\n",
            "\n\n\u{2014} a AAAAAAA=\n",
            "a\n\n\u{2014} a AAAAAAA=",
            "a\r\n\n\u{2014} a AAAAAAA=\n",
        ] {
            assert!(matches!(SignedNote::parse(text), Err(NoteFault::Form(_))), "{text:?}");
        }
        for key in
            ["", "a+b", "a+00000000+AA==", &GO_KEY.replace("c74f", "c740"), &GO_KEY.replace("+AR", "+BR")]
        {
            assert!(matches!(key.parse::<Verifier>(), Err(NoteFault::Key(_))), "{key:?}");
        }
        assert!(!is_name("a b") && !is_name("a+b") && !is_name("") && is_name("example.org/log"));
    }
}
