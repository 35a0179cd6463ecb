//! Which form of an answer is preferred (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, StatusCode, header};

use super::code::ProblemCode;
use super::problem::Problem;

/// What something can be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    /// JSON.
    Json,
    /// XML.
    Xml,
}

impl Representation {
    /// The form that is accepted, and preferred if both are; JSON, if nothing is said.
    pub fn accepted(headers: &HeaderMap) -> Result<Self, Problem> {
        let json = quality(headers, &["application/json"]);
        let xml = quality(headers, &["application/xml", "text/xml"]);
        match (json, xml) {
            (0, 0) => {
                let detail = "this can be read as application/json or application/xml";
                let problem = Problem::new(StatusCode::NOT_ACCEPTABLE, ProblemCode::NotAcceptable, detail);
                Err(Problem { field: Some("accept".into()), ..problem })
            }
            (json, xml) if xml > json => Ok(Self::Xml),
            _ => Ok(Self::Json),
        }
    }

    /// What tells the tags of this form from those of the other one.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Json => "",
            Self::Xml => "-xml",
        }
    }
}

/// How much the best liked of these types is liked, in thousandths; all of it, if nothing is said.
pub(crate) fn quality(headers: &HeaderMap, names: &[&str]) -> u16 {
    let told = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<_> = told.flat_map(|value| value.split(',')).filter_map(Range::parse).collect();
    if ranges.is_empty() {
        return 1000;
    }
    let of = |name: &&str| ranges.iter().filter_map(|range| range.fits(name)).max().map_or(0, |(_, q)| q);
    names.iter().map(of).max().unwrap_or(0)
}

/// A media range, and how much it is liked, in thousandths.
struct Range<'a> {
    range: &'a str,
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let range = parts.next().filter(|range| !range.is_empty())?;
        let told =
            parts.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
        Some(Self { range, quality: told.map_or(1000, thousandths) })
    }

    /// How exactly it names a type, and how much it is liked; `None` if it does not fit.
    fn fits(&self, name: &str) -> Option<(usize, u16)> {
        let family = name.split('/').next().unwrap_or_default();
        let exactness = match self.range.split_once('/') {
            Some(("*", "*")) => 0,
            Some((told, "*")) if told.eq_ignore_ascii_case(family) => 1,
            _ if self.range.eq_ignore_ascii_case(name) => 2,
            _ => return None,
        };
        Some((exactness, self.quality))
    }
}

/// A quality of at most three digits after the point; one that is none is the least there is.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction:0<3}");
    digits.parse().ok().filter(|parsed| *parsed <= 1000 && fraction.len() <= 3).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_liked_more() {
        let check = |accept: &[&'static str], expected: Option<Representation>| {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(header::ACCEPT, HeaderValue::from_static(value));
            }
            assert_eq!(Representation::accepted(&headers).ok(), expected, "{accept:?}");
        };
        check(&[], Some(Representation::Json));
        check(&["*/*"], Some(Representation::Json));
        check(&["application/json"], Some(Representation::Json));
        check(&["application/xml"], Some(Representation::Xml));
        check(&["TEXT/XML; charset=utf-8"], Some(Representation::Xml));
        check(&["text/*"], Some(Representation::Xml));
        check(&["application/*"], Some(Representation::Json));
        check(&["text/html, application/xml;q=0.9, */*;q=0.8"], Some(Representation::Xml));
        check(&["application/xml;q=0.5, application/json;q=0.4"], Some(Representation::Xml));
        check(&["application/xml;q=0.5", "application/json"], Some(Representation::Json));
        check(&["application/json;q=0, */*"], Some(Representation::Xml));
        check(&["application/json;q=0, application/xml;q=0, text/xml;q=0, */*"], None);
        check(&["text/html"], None);
        check(&["application/json;q=0"], None);
        check(&["image/*, text/html"], None);
    }
}
