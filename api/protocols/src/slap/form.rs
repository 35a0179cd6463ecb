//! Forms and queries as SLAP clients send them: names and values in percent-encoding.
//!
//! Invariants: bytes are decoded and never guessed at, because a usage report names its own encoding; a text that is
//! taken out is UTF-8 and can be carried back to a node in XML; whatever is wrong with a field is told with its name. A
//! form that has a field twice is refused.

use std::borrow::Cow;
use std::collections::HashSet;
use std::str::FromStr;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use slapledger_core::domain::id::InvalidText;
use slapledger_core::keyring::KeyRing;
use slapledger_kit::body::{self, ReceivedRequest};
use slapledger_kit::collect::{BodyLimit, media_type};
use slapledger_kit::problem::Problem;
use slapledger_kit::text::{carriable, id};
use slapledger_slap_wire::marshal;

/// The type of a posted form.
const FORM: &str = "application/x-www-form-urlencoded";
/// The same with a part for each field, as `curl -F` posts it.
const MULTIPART: &str = "multipart/form-data";
/// So few fields are compared with each other: a table of them would cost more.
const FEW_FIELDS: usize = 16;
/// The most fields of a form in parts.
const MOST_PARTS: usize = 64;

/// A posted form.
pub(super) struct PostedForm {
    /// What was posted.
    pub(super) fields: Fields,
    sent: ReceivedRequest,
}

impl PostedForm {
    /// Reads a form within this limit.
    pub(super) async fn read(request: Request, limit: impl Into<BodyLimit>) -> Result<Self, Problem> {
        if media_type(request.headers()).as_deref() == Some(MULTIPART) {
            let sent = body::read_any(request, limit).await?;
            let fields = Fields::of_parts(&sent).await?;
            fields.check_unique()?;
            return Ok(Self { fields, sent });
        }
        let sent = body::read(request, FORM, limit).await?;
        let fields = Fields::parse(&sent.body);
        fields.check_unique()?;
        Ok(Self { fields, sent })
    }

    /// The headers it came with.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.sent.headers
    }

    /// Names its content in the log.
    pub(super) fn digest(&self, keys: &KeyRing) -> [u8; 16] {
        keys.command_digest(&self.sent.content())
    }
}

/// Names and values.
pub(super) struct Fields(Vec<(Vec<u8>, Vec<u8>)>);

impl Fields {
    /// The fields of a form's body, or of a query.
    pub(super) fn parse(encoded: &[u8]) -> Self {
        let pairs = encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        let fields = pairs.map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            (decode(&pair[..equals]), decode(pair.get(equals + 1..).unwrap_or_default()))
        });
        Self(fields.collect())
    }

    /// The fields of a form in parts.
    async fn of_parts(sent: &ReceivedRequest) -> Result<Self, Problem> {
        let malformed = |error: multer::Error| Problem::malformed(format!("the form is malformed: {error}"));
        let told = sent.headers.get(CONTENT_TYPE).and_then(|told| told.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(told).map_err(malformed)?;
        let whole = std::future::ready(Ok::<_, std::convert::Infallible>(sent.body.clone()));
        let mut parts = multer::Multipart::new(futures_util::stream::once(whole), boundary);
        let mut fields = Vec::new();
        while let Some(part) = parts.next_field().await.map_err(malformed)? {
            if fields.len() == MOST_PARTS {
                return Err(Problem::malformed(format!("the form has more than {MOST_PARTS} parts")));
            }
            let name = part.name().unwrap_or_default().as_bytes().to_vec();
            fields.push((name, part.bytes().await.map_err(malformed)?.to_vec()));
        }
        Ok(Self(fields))
    }

    /// The fields of a request without a body.
    pub(super) fn of_query(request: &Request) -> Self {
        Self::parse(request.uri().query().unwrap_or_default().as_bytes())
    }

    /// Which of two values of a field counts, two readers may see differently.
    fn check_unique(&self) -> Result<(), Problem> {
        let twice = if self.0.len() <= FEW_FIELDS {
            let mut all = self.0.iter().enumerate();
            all.find(|(n, (name, _))| self.0[..*n].iter().any(|(before, _)| before == name))
                .map(|(_, field)| field)
        } else {
            let mut seen = HashSet::new();
            self.0.iter().find(|(name, _)| !seen.insert(name))
        };
        match twice {
            None => Ok(()),
            Some((name, _)) => {
                let name: String = String::from_utf8_lossy(name).chars().take(100).collect();
                Err(Problem::field(name, "must not be given more than once"))
            }
        }
    }

    fn find(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// A field as it was sent.
    pub(super) fn bytes(&self, name: &'static str) -> Result<&[u8], Problem> {
        self.find(name).ok_or_else(|| Problem::field(name, "is missing"))
    }

    /// A field as it was sent, if it was.
    pub(super) fn optional_bytes(&self, name: &'static str) -> Option<&[u8]> {
        self.find(name)
    }

    /// A text, if it is there.
    pub(super) fn optional(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        let Some(bytes) = self.find(name) else { return Ok(None) };
        let text = std::str::from_utf8(bytes).map_err(|_| Problem::field(name, "must be UTF-8"))?;
        carriable(name, text)?;
        Ok(Some(text))
    }

    /// A text.
    pub(super) fn text(&self, name: &'static str) -> Result<&str, Problem> {
        self.optional(name)?.ok_or_else(|| Problem::field(name, "is missing"))
    }

    /// An identity.
    pub(super) fn id<T: FromStr<Err = InvalidText>>(&self, name: &'static str) -> Result<T, Problem> {
        id(name, self.text(name)?)
    }

    /// A marshalled Python value, if it is there.
    pub(super) fn marshalled(&self, name: &'static str) -> Result<Option<marshal::Value>, Problem> {
        let Some(bytes) = self.find(name) else { return Ok(None) };
        let value = marshal::read_bytes(bytes);
        value.map(Some).map_err(|error| Problem::field(name, format!("must be a marshalled value: {error}")))
    }
}

/// Percent-encoding undone; a percent sign that begins no code stands for itself.
fn decode(encoded: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8>;
    let mut from = encoded;
    if encoded.contains(&b'+') {
        spaced = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        from = &spaced;
    }
    Cow::from(percent_encoding::percent_decode(from)).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn fields_are_decoded() {
        let check = |encoded: &str, expected: &[(&[u8], &[u8])]| {
            let fields = Fields::parse(encoded.as_bytes());
            let found: Vec<_> =
                fields.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
            assert_eq!(found, expected, "{encoded}");
        };
        check("", &[]);
        check("a=b&c=", &[(b"a", b"b"), (b"c", b"")]);
        check("a&&=b", &[(b"a", b""), (b"", b"b")]);
        check("a%20b=c+d%2B", &[(b"a b", b"c d+")]);
        check("a=%E9%00%ff", &[(b"a", b"\xe9\x00\xff")]);
        check("a=%&b=%4&c=%zz&d=100%", &[(b"a", b"%"), (b"b", b"%4"), (b"c", b"%zz"), (b"d", b"100%")]);
        check("a=b=c", &[(b"a", b"b=c")]);
    }

    #[test]
    fn a_field_that_is_given_twice_is_refused_in_short_forms_and_long_ones() {
        for others in [0, FEW_FIELDS * 2] {
            let mut form = "field=1&".repeat(usize::from(others > 0));
            for n in 1..others {
                let _ = write!(form, "field{n}=1&");
            }
            form += "last=1";
            assert_eq!(Fields::parse(form.as_bytes()).check_unique(), Ok(()), "{form}");
            form += "&l%61st=2";
            let refused = Problem::field("last", "must not be given more than once");
            assert_eq!(Fields::parse(form.as_bytes()).check_unique(), Err(refused), "{form}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_field_is_told_with_its_name() {
        let fields = Fields::parse(b"a=1&a=2&latin=%E9&bell=x%07&low=%EF%BF%BE");
        assert_eq!(fields.text("a"), Ok("1"));
        assert_eq!(fields.optional("b"), Ok(None));
        let check = |name: &'static str, detail: &str| {
            assert_eq!(fields.text(name), Err(Problem::field(name, detail)));
        };
        check("b", "is missing");
        check("latin", "must be UTF-8");
        check("bell", "text has characters that xml cannot carry: U+0007");
        check("low", "text has characters that xml cannot carry: U+FFFE");
    }
}
