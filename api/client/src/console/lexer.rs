//! From text to words, with the ends of lines and the depth of blocks, as Python has them.

use super::fault::{Fault, Place};

/// How deep blocks may be nested.
const MAX_BLOCKS: usize = 20;

/// A word, and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: Place,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Name(String),
    Int(i64),
    Float(f64),
    /// A text; of an f-text its parts.
    Text(Vec<Piece>),
    /// An operator or a bracket.
    Sign(&'static str),
    /// The end of a statement.
    Newline,
    /// A block begins.
    Indent,
    /// A block ends.
    Dedent,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// An expression, and where it starts.
    Source(String, Place),
}

/// The longer ones first.
const SIGNS: [&str; 25] = [
    "==", "!=", "<=", ">=", "+=", "**", "//", "(", ")", "[", "]", "{", "}", ",", ":", ".", "=", "+", "-",
    "*", "%", "<", ">", "/", ";",
];

/// All words of a text; the last one is [`Kind::End`].
pub(super) fn tokens(text: &str, start: Place) -> Result<Vec<Token>, Fault> {
    let mut lexer = Lexer { rest: text, at: start, tokens: Vec::new(), blocks: vec![0], open: Vec::new() };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    at: Place,
    tokens: Vec<Token>,
    /// How far the open blocks are indented.
    blocks: Vec<usize>,
    /// Brackets that are open: line ends mean nothing there.
    open: Vec<(&'static str, Place)>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        self.begin_line()?;
        while let Some(c) = self.peek() {
            let at = self.at;
            match c {
                ' ' | '\t' | '\r' => drop(self.next()),
                '#' => drop(self.take_while(|c| c != '\n')),
                '\n' => {
                    self.next();
                    if self.open.is_empty() {
                        self.end_line(at);
                        self.begin_line()?;
                    }
                }
                '0'..='9' => self.number()?,
                '\'' | '"' => self.text("", at)?,
                c if c == '_' || c.is_alphabetic() => self.name()?,
                _ => self.sign()?,
            }
        }
        if let Some((bracket, place)) = self.open.last() {
            return Err(Fault::incomplete(*place, format!("{bracket} is not closed")));
        }
        let at = self.at;
        self.end_line(at);
        for _ in 1..self.blocks.len() {
            self.push(at, Kind::Dedent);
        }
        self.push(at, Kind::End);
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.at = match c {
            '\n' => Place { line: self.at.line.saturating_add(1), column: 1 },
            _ => Place { column: self.at.column.saturating_add(1), ..self.at },
        };
        Some(c)
    }

    /// Goes past what is next.
    fn skip(&mut self, what: &str) {
        for _ in what.chars() {
            self.next();
        }
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek().filter(|c| fits(*c)) {
            taken.push(c);
            self.next();
        }
        taken
    }

    fn push(&mut self, at: Place, kind: Kind) {
        self.tokens.push(Token { at, kind });
    }

    fn end_line(&mut self, at: Place) {
        let is_new = |kind: &Kind| matches!(kind, Kind::Newline | Kind::Indent | Kind::Dedent);
        if self.tokens.last().is_some_and(|last| !is_new(&last.kind)) {
            self.push(at, Kind::Newline);
        }
    }

    /// Reads how far a line is indented; empty lines and comments do not count.
    fn begin_line(&mut self) -> Result<(), Fault> {
        loop {
            let width = self.take_while(|c| c == ' ').len();
            match self.peek() {
                None => return Ok(()),
                Some('\t') => return Err(Fault::at(self.at, "indent with spaces, not with a tab")),
                Some('#') => drop(self.take_while(|c| c != '\n')),
                Some('\r' | '\n') => drop(self.next()),
                Some(_) => return self.indent(width),
            }
        }
    }

    fn indent(&mut self, width: usize) -> Result<(), Fault> {
        let at = self.at;
        if self.blocks.last().is_none_or(|last| width > *last) {
            if self.blocks.len() > MAX_BLOCKS {
                return Err(Fault::at(at, format!("blocks are nested deeper than {MAX_BLOCKS}")));
            }
            self.blocks.push(width);
            self.push(at, Kind::Indent);
        }
        while self.blocks.last().is_some_and(|last| width < *last) {
            self.blocks.pop();
            self.push(at, Kind::Dedent);
        }
        if self.blocks.last() != Some(&width) {
            return Err(Fault::at(at, "this line is indented like no other line of the block"));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        let at = self.at;
        let mut digits = self.take_while(|c| c.is_ascii_digit());
        let after_point = self.rest.strip_prefix('.');
        let is_fraction = after_point.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if is_fraction {
            self.next();
            digits = format!("{digits}.{}", self.take_while(|c| c.is_ascii_digit()));
        }
        if self.peek().is_some_and(|c| c == '_' || c.is_alphanumeric()) {
            return Err(Fault::at(at, "a number is written in decimal digits"));
        }
        let int = || digits.parse().map(Kind::Int).ok();
        let kind = if is_fraction { digits.parse().map(Kind::Float).ok() } else { int() };
        self.push(at, kind.ok_or_else(|| Fault::at(at, "a number must fit into 64 bits"))?);
        Ok(())
    }

    fn name(&mut self) -> Result<(), Fault> {
        let at = self.at;
        let name = self.take_while(|c| c == '_' || c.is_alphanumeric());
        if name.len() <= 2 && self.peek().is_some_and(|c| matches!(c, '\'' | '"')) {
            return self.text(&name, at);
        }
        self.push(at, Kind::Name(name));
        Ok(())
    }

    fn sign(&mut self) -> Result<(), Fault> {
        let at = self.at;
        let Some(sign) = SIGNS.into_iter().find(|sign| self.rest.starts_with(sign)) else {
            let c = self.peek().unwrap_or_default();
            return Err(Fault::at(at, format!("{c:?} means nothing here")));
        };
        self.skip(sign);
        let opening = match sign {
            ")" => Some("("),
            "]" => Some("["),
            "}" => Some("{"),
            _ => None,
        };
        if matches!(sign, "(" | "[" | "{") {
            self.open.push((sign, at));
        } else if opening.is_some() && self.open.pop().map(|(open, _)| open) != opening {
            return Err(Fault::at(at, format!("{sign} closes nothing")));
        }
        self.push(at, Kind::Sign(sign));
        Ok(())
    }

    /// A text with the letters before it.
    fn text(&mut self, prefix: &str, at: Place) -> Result<(), Fault> {
        let prefix = prefix.to_ascii_lowercase();
        let (is_raw, is_format) = (prefix.contains('r'), prefix.contains('f'));
        if !matches!(prefix.as_str(), "" | "r" | "f" | "u" | "rf" | "fr") {
            return Err(Fault::at(at, format!("a text cannot begin with {prefix}")));
        }
        let quote = self.peek().unwrap_or('"');
        let triple = quote.to_string().repeat(3);
        let is_long = self.rest.starts_with(&triple);
        let end = if is_long { triple } else { quote.to_string() };
        self.skip(&end);
        let (mut pieces, mut text) = (Vec::new(), String::new());
        while !self.rest.starts_with(&end) {
            let here = self.at;
            match self.next() {
                None if is_long => return Err(Fault::incomplete(at, "a text is not closed")),
                None => return Err(Fault::at(at, "a text is not closed")),
                Some('\n') if !is_long => return Err(Fault::at(at, "a text is not closed in its line")),
                Some('\\') if !is_raw => self.escape(here, &mut text)?,
                Some('\\') => text.extend(['\\'].into_iter().chain(self.next())),
                Some(brace @ ('{' | '}')) if is_format && self.peek() == Some(brace) => {
                    self.next();
                    text.push(brace);
                }
                Some('{') if is_format => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    let start = self.at;
                    let source = self.take_while(|c| !matches!(c, '}' | '{' | '\n') && c != quote);
                    if self.next() != Some('}') {
                        return Err(Fault::at(here, "{ is not closed in this text"));
                    }
                    pieces.push(Piece::Source(source, start));
                }
                Some('}') if is_format => {
                    return Err(Fault::at(here, "} closes nothing; }} stands for itself"));
                }
                Some(c) => text.push(c),
            }
        }
        self.skip(&end);
        pieces.push(Piece::Text(text));
        self.push(at, Kind::Text(pieces));
        Ok(())
    }

    fn escape(&mut self, at: Place, text: &mut String) -> Result<(), Fault> {
        let wrong =
            || Fault::at(at, "a backslash stands before n, r, t, x, u, a quote, a backslash or a line end");
        let kind = self.next().ok_or_else(wrong)?;
        text.push(match kind {
            '\n' => return Ok(()),
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '\\' | '\'' | '"' => kind,
            'x' | 'u' => {
                let mut code = 0;
                for _ in 0..if kind == 'x' { 2 } else { 4 } {
                    code = code * 16 + self.next().and_then(|c| c.to_digit(16)).ok_or_else(wrong)?;
                }
                char::from_u32(code).ok_or_else(wrong)?
            }
            _ => return Err(wrong()),
        });
        Ok(())
    }
}
