//! A small XML tree under tight bounds, shared by the readers of this folder.
//!
//! Invariants: at most [`MAX_BYTES`] of text, [`MAX_DEPTH`] nested elements and [`MAX_NODES`] elements and texts; the
//! five predefined entities and character references only; a document type that declares entities, or that is elsewhere,
//! is refused before anything in it is read.
//! Comments and processing instructions are dropped; adjacent text, CDATA and references are one text.
//!
//! Not a validating parser, and no namespaces: a name is the text as it stands in the tag.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The longest document that is read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// How deep elements may be nested, the root counted.
pub const MAX_DEPTH: usize = 64;
/// How many elements and texts a document may have.
pub const MAX_NODES: usize = 500_000;

/// How many attributes an element may have.
const MAX_ATTRIBUTES: usize = 32;

/// Why a text is not an XML document that we read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Longer than [`MAX_BYTES`].
    #[error("document has {bytes} bytes, more than {MAX_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("line {line}: elements are nested deeper than {MAX_DEPTH}")]
    TooDeep {
        /// Where, from 1.
        line: usize,
    },
    /// More than [`MAX_NODES`] elements and texts.
    #[error("line {line}: document has more than {MAX_NODES} elements and texts")]
    TooManyNodes {
        /// Where, from 1.
        line: usize,
    },
    /// A document type declaration with entities, or with what is elsewhere.
    #[error("line {line}: a document type declaration with entities or an external subset is refused")]
    DocumentType {
        /// Where, from 1.
        line: usize,
    },
    /// An entity other than `lt`, `gt`, `amp`, `apos`, `quot`.
    #[error("line {line}: unknown entity {name:?}")]
    UnknownEntity {
        /// Where, from 1.
        line: usize,
        /// Its name, shortened.
        name: String,
    },
    /// A character that XML 1.0 cannot carry, also as a reference.
    #[error("line {line}: character U+{code:04X} cannot be in an xml document")]
    Character {
        /// Where, from 1.
        line: usize,
        /// The code point.
        code: u32,
    },
    /// The bytes are not in the encoding they declare, or in one that is not read.
    #[error("document is not readable as {encoding}")]
    Encoding {
        /// The declared encoding, or `utf-8`.
        encoding: String,
    },
    /// Not well-formed.
    #[error("line {line}: not well-formed: {reason}")]
    Malformed {
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Text with characters that no XML 1.0 document can carry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text has characters that xml cannot carry: {characters}")]
pub struct UncarriableText {
    /// The code points, each once, as in `U+0000, U+001B`; at most eight.
    pub characters: String,
}

/// Whether `text` can be sent to a SLAP client: no control character but tab, newline and carriage return, and neither
/// U+FFFE nor U+FFFF. To be asked wherever text enters the system, because one bad text spoils every document it is in.
pub fn check_text(text: &str) -> Result<(), UncarriableText> {
    if text.chars().all(is_xml_character) {
        return Ok(());
    }
    let mut codes: Vec<u32> = Vec::new();
    for code in text.chars().filter(|c| !is_xml_character(*c)).map(u32::from) {
        if !codes.contains(&code) && codes.len() < 8 {
            codes.push(code);
        }
    }
    let names: Vec<String> = codes.iter().map(|code| format!("U+{code:04X}")).collect();
    Err(UncarriableText { characters: names.join(", ") })
}

/// The production `Char` of XML 1.0.
fn is_xml_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

/// White space of XML 1.0; less than what Unicode calls white space.
pub(super) fn is_xml_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// One element: name, attributes, content, and the line of its start tag.
#[derive(Debug)]
pub struct Element<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its attributes, in their order.
    pub attributes: Vec<(String, String)>,
    /// What stands in it.
    pub content: Vec<XmlNode<'a>>,
    /// The line of its start tag.
    pub line: usize,
}

/// What stands in an element.
#[derive(Debug)]
pub enum XmlNode<'a> {
    /// Another element.
    Element(Element<'a>),
    /// A text.
    Text(String),
}

impl<'a> Element<'a> {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The child elements, if there is nothing else than white space between them.
    pub fn elements(&self) -> Option<Vec<&Element<'a>>> {
        let mut elements = Vec::with_capacity(self.content.len());
        for node in &self.content {
            match node {
                XmlNode::Element(element) => elements.push(element),
                XmlNode::Text(text) if text.chars().all(is_xml_space) => {}
                XmlNode::Text(_) => return None,
            }
        }
        Some(elements)
    }

    /// The text, if there is no element in it.
    pub fn text(&self) -> Option<&str> {
        match self.content.as_slice() {
            [] => Some(""),
            [XmlNode::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// Text from bytes: UTF-8 (with or without its mark), UTF-16 with its mark, or the ASCII and ISO-8859-1 that a
/// declaration may name.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    if bytes.len() > MAX_BYTES {
        return Err(XmlError::TooLarge { bytes: bytes.len() });
    }
    // The mark goes before what the document says of itself, which cannot be read without it.
    let wide = match bytes {
        [0xFF, 0xFE, rest @ ..] => Some(utf_16(rest, u16::from_le_bytes)),
        [0xFE, 0xFF, rest @ ..] => Some(utf_16(rest, u16::from_be_bytes)),
        // Without a mark: `<` and a zero byte.
        [0x3C, 0x00, ..] => Some(utf_16(bytes, u16::from_le_bytes)),
        [0x00, 0x3C, ..] => Some(utf_16(bytes, u16::from_be_bytes)),
        _ => None,
    };
    if let Some(text) = wide {
        return text.map(Cow::Owned).ok_or_else(|| XmlError::Encoding { encoding: "utf-16".to_owned() });
    }
    let encoding = declared_encoding(bytes).unwrap_or_else(|| "utf-8".to_owned());
    match encoding.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "us-ascii" | "ascii" => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(_) => Err(XmlError::Encoding { encoding }),
        },
        "iso-8859-1" | "latin-1" | "latin1" => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        _ => Err(XmlError::Encoding { encoding }),
    }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, []) = bytes.as_chunks() else { return None };
    char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect::<Result<_, _>>().ok()
}

fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let declaration = bytes.strip_prefix(b"<?xml")?;
    let end = declaration.iter().take(200).position(|byte| *byte == b'>')?;
    let declaration = std::str::from_utf8(&declaration[..end]).ok()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some(value[1..].split_once(quote)?.0.to_owned())
}

/// The root element of a document.
pub fn parse(text: &str) -> Result<Element<'_>, XmlError> {
    if text.len() > MAX_BYTES {
        return Err(XmlError::TooLarge { bytes: text.len() });
    }
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if let Some((at, c)) = text.char_indices().find(|(_, c)| !is_xml_character(*c)) {
        return Err(XmlError::Character { line: newlines(&text[..at]) + 1, code: c.into() });
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut tree = XmlTree { open: Vec::new(), root: None, nodes: 0, line: 1 };
    let (mut counted, mut typed) = (0, false);
    loop {
        let start = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
        // Positions only grow, so each newline is counted once.
        tree.line += newlines(text.get(counted..start).unwrap_or_default());
        counted = start;
        let event = reader.read_event().map_err(|error| malformed(tree.line, error))?;
        match event {
            Event::Start(tag) => tree.open(&tag, text, start)?,
            Event::Empty(tag) => {
                tree.open(&tag, text, start)?;
                tree.close();
            }
            Event::End(_) => tree.close(),
            Event::Text(content) => {
                let content = content.xml10_content().map_err(|error| malformed(tree.line, error))?;
                if content.contains("]]>") {
                    return Err(malformed(tree.line, "']]>' in text"));
                }
                tree.text(&content)?;
            }
            Event::CData(content) => {
                if tree.open.is_empty() {
                    return Err(malformed(tree.line, "text outside the root element"));
                }
                tree.text(&content.xml10_content().map_err(|error| malformed(tree.line, error))?)?;
            }
            Event::GeneralRef(reference) => {
                if tree.open.is_empty() {
                    return Err(malformed(tree.line, "text outside the root element"));
                }
                let name = reference.decode().map_err(|error| malformed(tree.line, error))?;
                let character = resolve(&name, tree.line)?;
                tree.text(character.encode_utf8(&mut [0; 4]))?;
            }
            Event::Decl(_) if start == 0 => {}
            Event::Decl(_) => {
                return Err(malformed(tree.line, "an xml declaration that is not at the start"));
            }
            Event::DocType(declared) => {
                if typed || tree.root.is_some() || !tree.open.is_empty() {
                    return Err(malformed(
                        tree.line,
                        "a document type declaration that is not before the root",
                    ));
                }
                typed = true;
                let refused = [&b"ENTITY"[..], b"SYSTEM", b"PUBLIC", b"%"];
                let has = |word: &[u8]| declared.windows(word.len()).any(|at| at == word);
                if refused.into_iter().any(has) {
                    return Err(XmlError::DocumentType { line: tree.line });
                }
            }
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if let Some(unclosed) = tree.open.last() {
        return Err(malformed(tree.line, format!("element {} is not closed", shorten(&unclosed.name))));
    }
    tree.root.ok_or_else(|| malformed(tree.line, "no root element"))
}

struct XmlTree<'a> {
    open: Vec<Element<'a>>,
    root: Option<Element<'a>>,
    nodes: usize,
    line: usize,
}

impl<'a> XmlTree<'a> {
    fn open(&mut self, tag: &BytesStart<'_>, text: &'a str, start: usize) -> Result<(), XmlError> {
        let line = self.line;
        if self.root.is_some() {
            return Err(malformed(line, "a second root element"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(XmlError::TooDeep { line });
        }
        self.count()?;
        let name = tag.name();
        let name = name.as_ref();
        // The same bytes in the document, so that a name costs no memory.
        let name = match text.get(start + 1..start + 1 + name.len()) {
            Some(same) if same.as_bytes() == name => Cow::Borrowed(same),
            _ => Cow::Owned(String::from_utf8_lossy(name).into_owned()),
        };
        if name.is_empty() {
            return Err(malformed(line, "an element without a name"));
        }
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| malformed(line, error))?;
            // Each is compared with all before it.
            if attributes.len() == MAX_ATTRIBUTES {
                return Err(malformed(line, "an element with more than 32 attributes"));
            }
            let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
            attributes.push((key, attribute_value(&String::from_utf8_lossy(&attribute.value), line)?));
        }
        self.open.push(Element { name, attributes, content: Vec::new(), line });
        Ok(())
    }

    fn close(&mut self) {
        let Some(element) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.content.push(XmlNode::Element(element)),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        let line = self.line;
        let Some(parent) = self.open.last_mut() else {
            if text.chars().all(is_xml_space) {
                return Ok(());
            }
            return Err(malformed(line, "text outside the root element"));
        };
        if let Some(XmlNode::Text(before)) = parent.content.last_mut() {
            before.push_str(text);
            return Ok(());
        }
        if !text.is_empty() {
            parent.content.push(XmlNode::Text(text.to_owned()));
            self.count()?;
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), XmlError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES { Err(XmlError::TooManyNodes { line: self.line }) } else { Ok(()) }
    }
}

/// The value of an attribute after the normalisation of XML 1.0, section 3.3.3.
fn attribute_value(raw: &str, line: usize) -> Result<String, XmlError> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '<', '\t', '\n', '\r']) {
        value.push_str(&rest[..at]);
        let special = &rest[at..];
        rest = &special[1..];
        if special.starts_with('<') {
            return Err(malformed(line, "'<' in the value of an attribute"));
        } else if special.starts_with('&') {
            let Some((name, after)) = rest.split_once(';') else {
                return Err(malformed(line, "'&' in the value of an attribute"));
            };
            value.push(resolve(name, line)?);
            rest = after;
        } else {
            rest = special.strip_prefix("\r\n").unwrap_or(rest);
            value.push(' ');
        }
    }
    value.push_str(rest);
    Ok(value)
}

/// The character of `name` in `&name;`.
fn resolve(name: &str, line: usize) -> Result<char, XmlError> {
    let character = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => name.strip_prefix('#'),
    };
    let unknown = || XmlError::UnknownEntity { line, name: shorten(name) };
    let number = character.ok_or_else(unknown)?;
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
    // Rust's parser would take a sign.
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(unknown());
    }
    let code = u32::from_str_radix(digits, radix).map_err(|_| unknown())?;
    char::from_u32(code).filter(|c| is_xml_character(*c)).ok_or(XmlError::Character { line, code })
}

/// Escape the content of an element, as libxml2 does.
pub(super) fn escape_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            _ => out.push(c),
        }
    }
}

/// Escape the value of an attribute in double quotes, as libxml2 does.
pub(super) fn escape_attribute(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            _ => out.push(c),
        }
    }
}

/// At most 60 characters of a text, for error messages.
pub(super) fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

fn malformed(line: usize, reason: impl std::fmt::Display) -> XmlError {
    XmlError::Malformed { line, reason: shorten(&reason.to_string()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refusals() {
        let check = |text: &str, expected: &str| {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        };
        check("", "no root element");
        check("   ", "no root element");
        check("a", "outside the root");
        check("<a/>b", "outside the root");
        check("<a/>&lt;", "outside the root");
        check("<a/><b/>", "second root");
        check("<a>\n<b>\n</a>", "line 3");
        check("<a>\n\n", "line 3: not well-formed: element a is not closed");
        check("<a>&nbsp;</a>", "unknown entity \"nbsp\"");
        check("<a>&</a>", "not well-formed");
        check("<a b='&x'/>", "not well-formed");
        check("<a b='<'/>", "not well-formed");
        check("<a b='1' b='2'/>", "not well-formed");
        check("<a>\u{0}</a>", "U+0000");
        check("<a>\n&#27;</a>", "line 2: character U+001B");
        check("<a>&#xD800;</a>", "U+D800");
        check("<a>&#+9;</a>", "unknown entity");
        check("<a>&#99999999999;</a>", "unknown entity");
        check("<a>]]></a>", "]]>");
        check("<a><!-- -- --></a>", "not well-formed");
        check("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type");
        check("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "document type");
        check("<!DOCTYPE a PUBLIC '-//x' 'http://x/'><a/>", "document type");
        check("<!DOCTYPE a [<!ENTITY % b SYSTEM 'http://x/'> %b;]><a/>", "document type");
        check("<a/><!DOCTYPE a>", "not before the root");
        check("<!DOCTYPE a><!DOCTYPE a><a/>", "not before the root");
        check(" <?xml version='1.0'?><a/>", "not at the start");
        check(&"<a>".repeat(65), "deeper");
        check(&format!("<a>{}</a>", "<b/>".repeat(MAX_NODES)), "more than 500000");
        check(&" ".repeat(MAX_BYTES + 1), "67108865 bytes");
        let names: Vec<String> = (0..33).map(|number| format!("a{number}=''")).collect();
        check(&format!("<a {}/>", names.join(" ")), "more than 32 attributes");
    }

    #[test]
    fn texts_are_one() {
        let check = |text: &str, expected: &str| {
            assert_eq!(parse(text).unwrap().text(), Some(expected), "{text:?}");
        };
        check(
            "\u{FEFF}<?xml version='1.0'?><a>b&amp;<!-- c --><![CDATA[<d>]]>&#x65;\r\nf\rg&#13;</a>",
            "b&<d>e\nf\ng\r",
        );
        check("<a> b </a>", " b ");
        check("<a></a>", "");
    }

    #[test]
    fn attributes_are_normalised() {
        let root = parse("<a b=\"1\r\n2\t&#9;&quot;&gt;\" c=''/>").unwrap();
        assert_eq!(root.attribute("b"), Some("1 2 \t\">"));
        assert_eq!(root.attribute("c"), Some(""));
        assert_eq!(root.attribute("d"), None);
    }

    #[test]
    fn encodings() {
        assert_eq!(decode("<a>é</a>".as_bytes()).unwrap(), "<a>é</a>");
        assert_eq!(
            decode(b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xE9</a>").unwrap(),
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>é</a>"
        );
        assert_eq!(decode(b"<a>\xE9</a>"), Err(XmlError::Encoding { encoding: "utf-8".to_owned() }));
        let text = "<?xml version=\"1.0\" encoding=\"utf-16\"?><a>é\u{1F600}</a>";
        let units = || text.encode_utf16();
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        for (mark, bytes) in [(&b"\xFF\xFE"[..], &little), (b"\xFE\xFF", &big), (b"", &little), (b"", &big)] {
            assert_eq!(decode(&[mark, bytes].concat()).unwrap(), text);
            // Half a character, and half of a pair.
            let utf_16 = Err(XmlError::Encoding { encoding: "utf-16".to_owned() });
            assert_eq!(decode(&[mark, &bytes[..bytes.len() - 1]].concat()), utf_16);
            let alone = if bytes == &little { [0x00, 0xD8] } else { [0xD8, 0x00] };
            assert_eq!(decode(&[mark, bytes, &alone].concat()), utf_16);
        }
        assert_eq!(
            decode(b"<?xml version='1.0' encoding='utf-16'?><a/>"),
            Err(XmlError::Encoding { encoding: "utf-16".to_owned() })
        );
    }

    #[test]
    fn uncarriable_text_is_named() {
        assert_eq!(check_text("a\t\r\né😀\u{7f}\u{85}"), Ok(()));
        assert_eq!(check_text("a\u{1}\u{0}\u{1}\u{FFFF}").unwrap_err().characters, "U+0001, U+0000, U+FFFF");
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            let _ = parse(&text);
            let _ = decode(&bytes).map(|text| parse(&text).is_ok());
        }

        #[test]
        fn never_panics_on_markup(parts in proptest::collection::vec(
            prop::sample::select(vec!["<a", ">", "/>", "</a>", "&", ";", "#", "x1", "<!--", "-->", "<![CDATA[", "]]>", "<!DOCTYPE",
                "<?xml", "?>", " b=", "'", "\"", "é", "\r", "\n", "<", "=", "[", "]", "<a>", "</", "encoding"]), 0..24)) {
            let text = parts.concat();
            let _ = parse(&text);
            let _ = decode(text.as_bytes());
        }

        #[test]
        fn escaping_returns(text in any::<String>()) {
            prop_assume!(check_text(&text).is_ok());
            let mut xml = String::from("<a b=\"");
            escape_attribute(&text, &mut xml);
            xml.push_str("\">");
            escape_text(&text, &mut xml);
            xml.push_str("</a>");
            let root = parse(&xml).unwrap();
            prop_assert_eq!(root.text(), Some(text.as_str()));
            prop_assert_eq!(root.attribute("b"), Some(text.as_str()));
        }
    }
}
