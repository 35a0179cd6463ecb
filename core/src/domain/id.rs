//! One newtype for each identity, never an alias.
//!
//! Numbers are printed with the prefix people know them by (`SOFTINST-3`); texts that come from outside are
//! checked once, where they are made, so that no decision has to look at their shape again.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bincode::{Decode, Encode};
use serde::{Serialize, Serializer};

/// Why a text cannot be an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing in it.
    #[error("must not be empty")]
    Empty,
    /// Longer than this identity may be.
    #[error("must not be longer than {max} bytes")]
    TooLong {
        /// The most bytes it may have.
        max: usize,
    },
    /// A character below U+0020, or U+007F.
    #[error("must not contain the control character U+{code:04X}")]
    Control {
        /// Its code point.
        code: u32,
    },
    /// It does not have the form of this identity.
    #[error("must look like {example}")]
    Form {
        /// One that would do.
        example: &'static str,
    },
}

pub(crate) fn check_text(text: &str, max: usize) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.len() > max {
        return Err(InvalidText::TooLong { max });
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(InvalidText::Control { code: u32::from(c) }),
        None => Ok(()),
    }
}

/// Whether a character is shown as itself: none of the categories Cc, Cf, Cs, Co, Cn, Zl and Zp, nor a blank other than
/// the space. Rust's table for `Debug` has these categories; a letter goes first because a combining character is escaped
/// at the start of a text only.
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let pair: String = ['a', c].into_iter().collect();
    pair.escape_debug().nth(1) == Some(c)
}

// Each usage event names its computer several times: a copy of an identity allocates nothing.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text, if it may be one: not empty, no control characters, not too long.
            pub fn new(text: &str) -> Result<Self, InvalidText> {
                check_text(text, $max)?;
                Ok(Self(text.into()))
            }

            /// The same without a copy of the text.
            pub fn of_shared(text: &Arc<str>) -> Result<Self, InvalidText> {
                check_text(text, $max)?;
                Ok(Self(Arc::clone(text)))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;
            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        /// Maps keyed by this identity can be asked with a plain text.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

/// A number, printed with the prefix people know it by.
macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;
            fn from_str(text: &str) -> Result<Self, InvalidText> {
                let form = InvalidText::Form { example: $example };
                let digits = text.strip_prefix($prefix).ok_or_else(|| form.clone())?;
                let canonical = !digits.is_empty()
                    && digits.bytes().all(|b| b.is_ascii_digit())
                    && !digits.starts_with('0');
                if !canonical {
                    return Err(form);
                }
                digits.parse().map(Self).map_err(|_| form)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

pub(super) use number_id;

/// The place of an event in the one global order: from 1, without gaps. 0 means "before the first event".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode, Serialize)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Before the first event.
    pub const ZERO: Self = Self(0);

    /// The sequence after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

number_id!(
    /// What all things belong to: a world of its own.
    ProjectId, "PROJ-", "PROJ-1"
);
number_id!(
    /// Somebody who requests, pays or sells.
    PartyId, "PARTY-", "PARTY-1"
);
number_id!(
    /// A software instance: an id that is never used again.
    InstanceId, "SOFTINST-", "SOFTINST-1"
);
number_id!(
    /// An invoice run.
    RunId, "RUN-", "RUN-1"
);
text_id!(
    /// A computer (node), by the reference it came with.
    ComputerId, 255
);
text_id!(
    /// A computer partition, by its reference on its computer (`slappart0`).
    PartitionId, 255
);
text_id!(
    /// The address of a software release.
    SoftwareRelease, 2048
);
text_id!(
    /// What a software release is asked to be (`default`, `RootSoftwareInstance`).
    SoftwareType, 255
);
text_id!(
    /// The name its requester gave to an instance; with the requester it is the instance's identity.
    Reference, 1024
);
text_id!(
    /// What is measured (`service_module/cpu_load_percent`).
    ResourceId, 255
);
text_id!(
    /// A price book, over all its versions.
    PriceBookName, 100
);
text_id!(
    /// An invoice: series, year and number (`INV-2026-000001`).
    InvoiceId, 64
);

impl SoftwareRelease {
    /// What people call it: the folder of its profile, in lower case (`kvm` of `https://example.org/kvm/software.cfg`).
    pub fn name(&self) -> String {
        let mut parts = self.as_str().rsplit('/').filter(|part| !part.is_empty());
        let last = parts.next().unwrap_or_default();
        let name = if last.contains(".cfg") { parts.next().unwrap_or(last) } else { last };
        name.to_lowercase()
    }
}

impl ProjectId {
    /// The project that every ledger has. What is of the ledger itself is in it.
    pub const DEFAULT: Self = Self(1);
}

/// A key of the key ring; the key itself never enters the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct KeyId(pub [u8; 16]);

/// A credential: random; of a certificate, its serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct CredentialId(pub [u8; 16]);

impl FromStr for CredentialId {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let form = || InvalidText::Form { example: "0f8fad5bd9cb469fa16570867728950e" };
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(lower) {
            return Err(form());
        }
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| form())
    }
}

/// A command, as its sender or the edge named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct CommandId(pub [u8; 16]);

macro_rules! hex_display {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
hex_display!(KeyId, CommandId, CredentialId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!("SOFTINST-12".parse(), Ok(InstanceId(12)));
        for wrong in
            ["", "12", "SOFTINST-", "SOFTINST-012", "SOFTINST-0", "softinst-1", "SOFTINST-1x", "SOFTINST--1"]
        {
            assert_eq!(
                wrong.parse::<InstanceId>(),
                Err(InvalidText::Form { example: "SOFTINST-1" }),
                "{wrong}"
            );
        }
    }

    #[test]
    fn texts_are_bounded_and_printable() {
        assert_eq!(ComputerId::new(""), Err(InvalidText::Empty));
        assert_eq!(ComputerId::new(&"x".repeat(256)), Err(InvalidText::TooLong { max: 255 }));
        // Clients call an instance as they like.
        assert!(Reference::new(&"x".repeat(1024)).is_ok());
        assert_eq!(Reference::new(&"x".repeat(1025)), Err(InvalidText::TooLong { max: 1024 }));
        assert_eq!(ComputerId::new("COMP\u{7}1"), Err(InvalidText::Control { code: 7 }));
        assert_eq!(ComputerId::new("COMP-1").map(|id| id.to_string()), Ok("COMP-1".to_owned()));
    }
}
