//! What the log holds only sealed: parameters, connection parameters and error texts of instances and software.
//!
//! Parameters are sealed as the instance XML that SLAP stores, so that the same parameters always have the same
//! digest. What cannot be opened (its key was destroyed) is shown as empty: the thing itself is still there.

use std::collections::BTreeMap;

use slapledger_core::domain::id::KeyId;
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::keyring::{KeyRing, KeyRingFault, UnreadableValue};
use slapledger_slap_wire::instance_xml;

use crate::code::ProblemCode;
use crate::conflict;
use crate::problem::Problem;

/// The longest error text that is kept, in bytes: the sealed event must fit into the log.
const ERROR_BYTES: usize = 32 * 1024;
/// Parameters as a sender told them.
#[derive(Debug, Clone, Copy)]
pub struct ToldParameters<'a> {
    /// The field they came in, which is to blame for what is wrong with them.
    pub field: &'a str,
    /// Their texts.
    pub texts: &'a BTreeMap<String, String>,
    /// Those of them that are no texts, marshalled, where types are kept.
    pub typed: &'a BTreeMap<String, String>,
    /// The most bytes of them as they are stored.
    pub most_bytes: usize,
}

impl ToldParameters<'_> {
    /// Under a key.
    pub fn seal(&self, keys: &KeyRing, key: KeyId) -> Result<Sealed, Problem> {
        seal(keys, key, &self.xml()?)
    }

    /// As they are kept under the seal.
    pub fn xml(&self) -> Result<String, Problem> {
        let Self { field, texts, typed, most_bytes } = *self;
        let xml = instance_xml::write_typed(texts, typed);
        let xml = xml.map_err(|error| Problem::field(field, error.to_string()))?;
        if xml.len() > most_bytes {
            let bytes = xml.len();
            let rule = format!("must have at most {most_bytes} bytes as stored (instance XML), not {bytes}");
            return Err(Problem::too_large(field, rule));
        }
        Ok(xml)
    }
}

/// Parameters of texts alone, under a key.
pub fn seal_parameters(
    (keys, most_bytes): (&KeyRing, usize),
    key: KeyId,
    field: &str,
    texts: &BTreeMap<String, String>,
) -> Result<Sealed, Problem> {
    ToldParameters { field, texts, typed: &BTreeMap::new(), most_bytes }.seal(keys, key)
}

/// A text under a key.
pub fn seal(keys: &KeyRing, key: KeyId, text: &str) -> Result<Sealed, Problem> {
    seal_bytes(keys, key, text.as_bytes())
}

/// Bytes under a key.
pub fn seal_bytes(keys: &KeyRing, key: KeyId, plain: &[u8]) -> Result<Sealed, Problem> {
    keys.seal(key, plain).map_err(|fault| match fault {
        KeyRingFault::Destroyed { .. } => {
            let detail = "what it held was erased, and it takes nothing new";
            conflict::of_code(ProblemCode::Erased, detail)
        }
        fault => Problem::fault(&fault),
    })
}

/// Parameters that were sealed.
pub fn open_parameters(keys: &KeyRing, sealed: &Sealed) -> BTreeMap<String, String> {
    let Some(text) = open(keys, sealed) else { return BTreeMap::new() };
    instance_xml::read(&text).unwrap_or_else(|error| {
        tracing::warn!(key = %sealed.key, %error, "sealed parameters are not instance XML");
        BTreeMap::new()
    })
}

/// Those of sealed parameters that are no texts, marshalled.
pub fn open_typed_parameters(keys: &KeyRing, sealed: &Sealed) -> BTreeMap<String, String> {
    let text = open(keys, sealed);
    text.and_then(|text| instance_xml::read_typed(&text).ok()).unwrap_or_default()
}

/// A text that was sealed.
pub fn open(keys: &KeyRing, sealed: &Sealed) -> Option<String> {
    let opened = match keys.open_sealed(sealed) {
        // As it should be: it was erased, or is not for the caller.
        Err(UnreadableValue::Destroyed | UnreadableValue::Withheld) => return None,
        opened => opened.map_err(|reason| reason.to_string()),
    };
    let text = opened.and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
    text.inspect_err(|reason| tracing::warn!(key = %sealed.key, %reason, "a sealed value cannot be shown"))
        .ok()
}

/// An error text as it is kept. Nodes send whatever their programs printed: of a long one the end, where programs say
/// what went wrong; what XML cannot carry (colours, lost bytes) is replaced.
pub fn error_text(bytes: &[u8]) -> String {
    // Cleaned first: a character that takes the place of another may be longer.
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| {
            let mut buffer = [0; 4];
            let carried = slapledger_slap_wire::check_text(c.encode_utf8(&mut buffer)).is_ok();
            if carried { c } else { char::REPLACEMENT_CHARACTER }
        })
        .collect();
    let start = (text.len().saturating_sub(ERROR_BYTES)..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    if start == 0 { text } else { format!("…{}", &text[start..]) }
}

/// The error text that a node reports, as it is kept. It goes with state `error` alone.
pub fn reported_error(text: Option<&str>, failed: bool) -> Result<Option<String>, Problem> {
    if text.is_some() && !failed {
        return Err(Problem::field("error", "goes with state error alone"));
    }
    Ok(failed.then(|| error_text(text.unwrap_or_default().as_bytes())))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn parameters_return_and_their_order_does_not_matter() {
        let keys = KeyRing::in_memory();
        let key = keys.fresh().unwrap();
        let mut parameters = BTreeMap::from([("b".to_owned(), "x<y&z>\"\r\n".to_owned())]);
        parameters.insert("a".to_owned(), String::new());
        let sealed = seal_parameters((&keys, 60_000), key, "parameters", &parameters).unwrap();
        assert_eq!(open_parameters(&keys, &sealed), parameters);
        assert!(
            sealed.same_content(&seal_parameters((&keys, 60_000), key, "parameters", &parameters).unwrap())
        );
        parameters.insert("c".to_owned(), "\u{1}".to_owned());
        let refused = seal_parameters((&keys, 60_000), key, "parameters", &parameters).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("parameters"));
    }

    #[test]
    fn parameters_are_bounded_as_they_are_stored() {
        const MOST: usize = 60_000;
        let of = |value: String| {
            let (texts, typed) = (BTreeMap::from([("a".to_owned(), value)]), BTreeMap::new());
            ToldParameters { field: "parameters", texts: &texts, typed: &typed, most_bytes: MOST }.xml()
        };
        let around = of(String::new()).unwrap().len();
        assert_eq!(of("x".repeat(MOST - around)).unwrap().len(), MOST);
        let rule = "must have at most 60000 bytes as stored (instance XML), not 60001";
        let refused = Err(Problem::too_large("parameters", rule));
        assert_eq!(of("x".repeat(MOST - around + 1)), refused);
        // What XML writes longer counts so.
        assert_eq!(of("&".repeat(MOST / 4)).unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn what_was_erased_is_empty_and_stays_so() {
        let keys = KeyRing::in_memory();
        let key = keys.fresh().unwrap();
        let parameters = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let sealed = seal_parameters((&keys, 60_000), key, "parameters", &parameters).unwrap();
        keys.destroy(key).unwrap();
        assert_eq!(open_parameters(&keys, &sealed), BTreeMap::new());
        assert_eq!(open(&keys, &sealed), None);
        assert_eq!(seal(&keys, key, "b").unwrap_err().status, StatusCode::CONFLICT);
    }

    #[test]
    fn error_texts_are_cut_and_cleaned() {
        assert_eq!(error_text(b"no <space> \xc3\xa9\n"), "no <space> é\n");
        assert_eq!(error_text(b"\x1b[31mred\xff"), "\u{FFFD}[31mred\u{FFFD}");
        let long = format!("{}é{}", "x".repeat(100), "y".repeat(ERROR_BYTES - 1));
        let kept = error_text(long.as_bytes());
        assert_eq!(kept, format!("…{}", "y".repeat(ERROR_BYTES - 1)));
        // Cleaning makes it no longer than that.
        let kept = error_text(&vec![7; ERROR_BYTES]);
        assert_eq!(kept, format!("…{}", "\u{FFFD}".repeat(ERROR_BYTES / 3)));
    }
}
