//! Values in the format of Python's `xml_marshaller` 1.0, which SLAP puts into forms and answers.
//!
//! Invariants: [`write`] gives the bytes of `slapos.util.dumps` (compact, no declaration, ASCII, ids `i2`.. in pre-order
//! with one counter, keys of dictionaries sorted, text escaped twice); [`read`] takes what `slapos.util.loads` takes, under
//! the bounds of this folder, which also hold after `<reference>` is resolved. Nothing is ever instantiated: an object is
//! its names, arguments and state.
//!
//! Not here: complex numbers and code objects, which no SLAP message has, and references on writing: a tree has no
//! object twice.

mod reader;
#[cfg(test)]
pub(super) mod tests;
mod value;
mod writer;

pub use reader::{read, read_bytes};
pub use value::{Float, Long, Object, Value};
pub use writer::write;

use super::xml::{MAX_DEPTH, UncarriableText, XmlError};

/// Why a text is not a marshalled value, or a value cannot be marshalled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarshalError {
    /// Not a document that we read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// A text that XML cannot carry. Only on writing.
    #[error(transparent)]
    Uncarriable(#[from] UncarriableText),
    /// The value to write is nested deeper than [`MAX_DEPTH`].
    #[error("value is nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// The value is larger than the bounds once its references are resolved.
    #[error("value is too large once its references are resolved")]
    TooLarge,
    /// A tag that the format does not have.
    #[error("line {line}: unknown tag {tag:?}")]
    UnknownTag {
        /// Where, from 1.
        line: usize,
        /// Its name, shortened.
        tag: String,
    },
    /// The content of a tag breaks its rule.
    #[error("line {line}: {tag}: {rule}")]
    Content {
        /// Where, from 1.
        line: usize,
        /// The tag.
        tag: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// A reference to an id that no container before it has.
    #[error("line {line}: reference to {id:?}, which is not the id of a container before it")]
    Reference {
        /// Where, from 1.
        line: usize,
        /// The id, shortened.
        id: String,
    },
}
