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
    Text(String),
    /// The parts of an f-string.
    Format(Vec<Piece>),
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
    open: Vec<(char, Place)>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        self.begin_line()?;
        while let Some(c) = self.peek() {
            let at = self.at;
            match c {
                ' ' | '\t' | '\r' => drop(self.next()),
                '#' => self.skip_comment(),
                '\n' => {
                    self.next();
                    if self.open.is_empty() {
                        self.end_line(at);
                        self.begin_line()?;
                    }
                }
                '\\' if self.rest[1..].trim_start_matches('\r').starts_with('\n') => {
                    while self.next().is_some_and(|c| c != '\n') {}
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
        if c == '\n' {
            self.at = Place { line: self.at.line.saturating_add(1), column: 1 };
        } else {
            self.at.column = self.at.column.saturating_add(1);
        }
        Some(c)
    }

    fn push(&mut self, at: Place, kind: Kind) {
        self.tokens.push(Token { at, kind });
    }

    fn skip_comment(&mut self) {
        while self.peek().is_some_and(|c| c != '\n') {
            self.next();
        }
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
            let mut width = 0;
            while self.peek() == Some(' ') {
                self.next();
                width += 1;
            }
            let at = self.at;
            match self.peek() {
                Some('\t') => return Err(Fault::at(at, "indent with spaces, not with a tab")),
                Some('#') => self.skip_comment(),
                Some('\r') => drop(self.next()),
                Some('\n') | None => {}
                Some(_) => return self.indent(width, at),
            }
            match self.next() {
                None => return Ok(()),
                Some('\n') => {}
                Some(_) => return self.indent(width, at),
            }
        }
    }

    fn indent(&mut self, width: usize, at: Place) -> Result<(), Fault> {
        let last = self.blocks.last().copied().unwrap_or(0);
        if width > last {
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

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek().filter(|c| fits(*c)) {
            taken.push(c);
            self.next();
        }
        taken
    }

    fn number(&mut self) -> Result<(), Fault> {
        let at = self.at;
        let mut digits = self.take_while(|c| c.is_ascii_digit());
        let is_fraction =
            self.rest.starts_with('.') && self.rest[1..].starts_with(|c: char| c.is_ascii_digit());
        if is_fraction {
            self.next();
            digits.push('.');
            digits.push_str(&self.take_while(|c| c.is_ascii_digit()));
        }
        if self.peek().is_some_and(|c| c == '_' || c.is_alphanumeric()) {
            return Err(Fault::at(at, "a number is written in decimal digits"));
        }
        let kind = if is_fraction {
            digits.parse().map(Kind::Float).ok()
        } else {
            digits.parse().map(Kind::Int).ok()
        };
        let kind = kind.ok_or_else(|| Fault::at(at, "a number must fit into 64 bits"))?;
        self.push(at, kind);
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
        for c in sign.chars() {
            self.next();
            match c {
                '(' | '[' | '{' => self.open.push((c, at)),
                ')' | ']' | '}' => {
                    let opening = match c {
                        ')' => '(',
                        ']' => '[',
                        _ => '{',
                    };
                    if self.open.pop().is_none_or(|(open, _)| open != opening) {
                        return Err(Fault::at(at, format!("{c} closes nothing")));
                    }
                }
                _ => {}
            }
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
        let quote = self.next().unwrap_or('"');
        let triple = [quote, quote].iter().collect::<String>();
        let is_long = self.rest.starts_with(&triple);
        if is_long {
            self.next();
            self.next();
        }
        let end = if is_long { quote.to_string().repeat(3) } else { quote.to_string() };
        let mut pieces = Vec::new();
        let mut text = String::new();
        while !self.rest.starts_with(&end) {
            let here = self.at;
            match self.next() {
                None if is_long => return Err(Fault::incomplete(at, "a text is not closed")),
                None => return Err(Fault::at(at, "a text is not closed")),
                Some('\n') if !is_long => return Err(Fault::at(at, "a text is not closed in its line")),
                Some('\\') if !is_raw => self.escape(here, &mut text)?,
                Some('\\') => {
                    text.push('\\');
                    text.extend(self.next());
                }
                Some(brace @ ('{' | '}')) if is_format => {
                    if self.peek() == Some(brace) {
                        self.next();
                        text.push(brace);
                    } else if brace == '{' {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                        pieces.push(self.inner(quote, here)?);
                    } else {
                        return Err(Fault::at(here, "} closes nothing; }} stands for itself"));
                    }
                }
                Some(c) => text.push(c),
            }
        }
        for _ in end.chars() {
            self.next();
        }
        let kind = if is_format {
            pieces.push(Piece::Text(text));
            Kind::Format(pieces)
        } else {
            Kind::Text(text)
        };
        self.push(at, kind);
        Ok(())
    }

    /// The expression in an f-string, up to its brace.
    fn inner(&mut self, quote: char, at: Place) -> Result<Piece, Fault> {
        let start = self.at;
        let source = self.take_while(|c| !matches!(c, '}' | '{' | '\n') && c != quote);
        if self.next() != Some('}') {
            return Err(Fault::at(at, "{ is not closed in this text"));
        }
        Ok(Piece::Source(source, start))
    }

    fn escape(&mut self, at: Place, text: &mut String) -> Result<(), Fault> {
        let wrong =
            || Fault::at(at, "a backslash stands before n, r, t, x, u, a quote, a backslash or a line end");
        match self.next().ok_or_else(wrong)? {
            '\n' => {}
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            c @ ('\\' | '\'' | '"') => text.push(c),
            kind @ ('x' | 'u') => {
                let digits = if kind == 'x' { 2 } else { 4 };
                let mut code = 0;
                for _ in 0..digits {
                    let digit = self.peek().and_then(|c| c.to_digit(16)).ok_or_else(wrong)?;
                    self.next();
                    code = code * 16 + digit;
                }
                text.push(char::from_u32(code).ok_or_else(wrong)?);
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }
}
