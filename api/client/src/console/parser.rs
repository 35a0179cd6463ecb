//! From text to statements: assignments, calls, attributes and literals, as Python writes them. What else Python has is
//! named in the error.

use super::fault::{ConsoleFault, TextPosition};
use super::value::{Collection, ConsoleValue};
use slapledger_slap_wire::marshal::Float;

/// How deep brackets may be nested, and how long a row of calls and attributes may be.
const MAX_DEPTH: usize = 40;

/// Words that stand for values.
pub(super) const KEYWORDS: [&str; 3] = ["False", "None", "True"];

/// Words of Python that the console does not have.
const ABSENT: [&str; 32] = [
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else",
    "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not",
    "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// Whether a word cannot be a name.
pub(super) fn is_reserved(word: &str) -> bool {
    KEYWORDS.contains(&word) || ABSENT.contains(&word)
}

pub(super) fn is_word_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

pub(super) fn is_word_part(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// A line, or a part of one up to a semicolon.
#[derive(Debug)]
pub(super) struct ConsoleStatement {
    /// The name that its value is given.
    pub(super) target: Option<String>,
    pub(super) value: SyntaxNode,
}

/// An expression, and where it is.
#[derive(Debug)]
pub(super) struct SyntaxNode {
    pub(super) at: TextPosition,
    pub(super) kind: Expression,
}

#[derive(Debug)]
pub(super) enum Expression {
    Literal(ConsoleValue),
    Name(String),
    /// The keys and values of a dictionary by turns.
    Many(Collection, Vec<SyntaxNode>),
    Attribute(Box<SyntaxNode>, String),
    /// The function and its arguments, those with a name last.
    Call(Box<SyntaxNode>, Vec<(Option<String>, SyntaxNode)>),
}

/// The statements of a text.
pub(super) fn parse(text: &str) -> Result<Vec<ConsoleStatement>, ConsoleFault> {
    let mut parser = Parser { rest: text, at: TextPosition { line: 1, column: 1 }, open: Vec::new() };
    let mut statements = Vec::new();
    loop {
        parser.skip_blank();
        match parser.peek() {
            None => return Ok(statements),
            Some('\n' | ';') => drop(parser.next()),
            Some(_) => {
                statements.push(parser.statement()?);
                parser.skip_blank();
                if !matches!(parser.peek(), None | Some('\n' | ';')) {
                    return Err(parser.unexpected("the end of the line is missing"));
                }
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    at: TextPosition,
    /// Brackets that are open: line ends mean nothing there.
    open: Vec<(char, TextPosition)>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.at = match c {
            '\n' => TextPosition { line: self.at.line.saturating_add(1), column: 1 },
            _ => TextPosition { column: self.at.column.saturating_add(1), ..self.at },
        };
        Some(c)
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek().filter(|c| fits(*c)) {
            taken.push(c);
            self.next();
        }
        taken
    }

    /// Passes spaces and comments; inside brackets line ends too.
    fn skip_blank(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                '#' => drop(self.take_while(|c| c != '\n')),
                '\n' if self.open.is_empty() => return,
                ' ' | '\t' | '\r' | '\n' => drop(self.next()),
                _ => return,
            }
        }
    }

    /// Whether this sign is next; then it is passed.
    fn takes(&mut self, sign: char) -> bool {
        self.skip_blank();
        let is_there = self.peek() == Some(sign);
        if is_there {
            self.next();
        }
        is_there
    }

    /// What is wrong here.
    fn unexpected(&self, missing: &str) -> ConsoleFault {
        let word: String = self.rest.chars().take_while(|c| is_word_part(*c)).collect();
        match (self.peek(), self.open.last()) {
            (None, Some((bracket, place))) => {
                ConsoleFault::incomplete(*place, format!("{bracket} is not closed"))
            }
            (None, None) => ConsoleFault::at(self.at, format!("{missing} at the end")),
            (Some('\n'), _) => ConsoleFault::at(self.at, format!("{missing} at the end of the line")),
            _ if ABSENT.contains(&word.as_str()) => {
                ConsoleFault::at(self.at, format!("the console has no {word:?}; help() says what it has"))
            }
            (Some('\'' | '"'), _) => ConsoleFault::at(self.at, format!("{missing} before a text")),
            (Some(c), _) if word.is_empty() => ConsoleFault::at(self.at, format!("{missing} before {c}")),
            _ => ConsoleFault::at(self.at, format!("{missing} before {word}")),
        }
    }

    fn statement(&mut self) -> Result<ConsoleStatement, ConsoleFault> {
        let value = self.expression()?;
        if !self.takes('=') {
            return Ok(ConsoleStatement { target: None, value });
        }
        let Expression::Name(name) = value.kind else {
            return Err(ConsoleFault::at(value.at, "only a name can be given a value"));
        };
        Ok(ConsoleStatement { target: Some(name), value: self.expression()? })
    }

    /// A value, and the attributes and calls that follow it.
    fn expression(&mut self) -> Result<SyntaxNode, ConsoleFault> {
        self.skip_blank();
        let mut node = self.atom()?;
        for _ in 0..MAX_DEPTH {
            self.skip_blank();
            let at = self.at;
            let kind = if self.takes('.') {
                Expression::Attribute(Box::new(node), self.name()?)
            } else if self.peek() == Some('(') {
                self.open('(')?;
                Expression::Call(Box::new(node), self.arguments()?)
            } else {
                return Ok(node);
            };
            node = SyntaxNode { at, kind };
        }
        Err(self.too_deep())
    }

    fn too_deep(&self) -> ConsoleFault {
        ConsoleFault::at(self.at, format!("an expression is nested deeper than {MAX_DEPTH}"))
    }

    fn name(&mut self) -> Result<String, ConsoleFault> {
        self.skip_blank();
        let is_name = self.peek().is_some_and(is_word_start);
        let before = (self.rest, self.at);
        let name = if is_name { self.take_while(is_word_part) } else { String::new() };
        if name.is_empty() || is_reserved(&name) {
            (self.rest, self.at) = before;
            return Err(self.unexpected("a name is missing"));
        }
        Ok(name)
    }

    fn open(&mut self, bracket: char) -> Result<(), ConsoleFault> {
        if self.open.len() == MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.open.push((bracket, self.at));
        self.next();
        Ok(())
    }

    /// Whether the bracket that was opened last is closed here; then it is passed.
    fn closes(&mut self, bracket: char) -> bool {
        let is_closed = self.takes(bracket);
        if is_closed {
            self.open.pop();
        }
        is_closed
    }

    /// What stands between brackets, with commas in between, and whether a comma is last.
    fn between<T>(
        &mut self,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<T, ConsoleFault>,
    ) -> Result<(Vec<T>, bool), ConsoleFault> {
        let mut items = Vec::new();
        let mut is_last_comma = false;
        while !self.closes(close) {
            if !items.is_empty() && !is_last_comma {
                return Err(self.unexpected(&format!("{close} is missing")));
            }
            items.push(item(self)?);
            is_last_comma = self.takes(',');
        }
        Ok((items, is_last_comma))
    }

    fn arguments(&mut self) -> Result<Vec<(Option<String>, SyntaxNode)>, ConsoleFault> {
        let mut names: Vec<String> = Vec::new();
        let (arguments, _) = self.between(')', |parser| {
            let value = parser.expression()?;
            if !parser.takes('=') {
                let wrong = "an argument without a name stands after one with a name";
                return if names.is_empty() {
                    Ok((None, value))
                } else {
                    Err(ConsoleFault::at(value.at, wrong))
                };
            }
            let Expression::Name(name) = value.kind else {
                return Err(ConsoleFault::at(value.at, "the name of an argument is missing before ="));
            };
            if names.contains(&name) {
                return Err(ConsoleFault::at(value.at, format!("argument {name} is given twice")));
            }
            names.push(name.clone());
            Ok((Some(name), parser.expression()?))
        })?;
        Ok(arguments)
    }

    fn atom(&mut self) -> Result<SyntaxNode, ConsoleFault> {
        let at = self.at;
        let kind = match self.peek() {
            Some('(') => return self.parentheses(),
            Some('[') => {
                self.open('[')?;
                Expression::Many(Collection::List, self.between(']', Self::expression)?.0)
            }
            Some('{') => {
                self.open('{')?;
                let pair = |parser: &mut Self| {
                    let key = parser.expression()?;
                    if !parser.takes(':') {
                        return Err(parser.unexpected(": is missing"));
                    }
                    Ok([key, parser.expression()?])
                };
                let (pairs, _) = self.between('}', pair)?;
                Expression::Many(Collection::Dict, pairs.into_iter().flatten().collect())
            }
            Some('-' | '0'..='9') => Expression::Literal(self.number()?),
            Some('\'' | '"') => Expression::Literal(self.texts()?),
            Some(c) if is_word_start(c) => return self.word(),
            _ => return Err(self.unexpected("an expression is missing")),
        };
        Ok(SyntaxNode { at, kind })
    }

    /// An expression between parentheses, or a tuple.
    fn parentheses(&mut self) -> Result<SyntaxNode, ConsoleFault> {
        let at = self.at;
        self.open('(')?;
        let (mut items, is_last_comma) = self.between(')', Self::expression)?;
        if items.len() == 1 && !is_last_comma {
            return Ok(items.remove(0));
        }
        Ok(SyntaxNode { at, kind: Expression::Many(Collection::Tuple, items) })
    }

    fn word(&mut self) -> Result<SyntaxNode, ConsoleFault> {
        let (at, before) = (self.at, self.rest);
        let word = self.take_while(is_word_part);
        let value = match word.as_str() {
            "None" => ConsoleValue::None,
            "True" => ConsoleValue::Bool(true),
            "False" => ConsoleValue::Bool(false),
            _ if self.is_quote() => {
                return Err(ConsoleFault::at(at, format!("a text cannot begin with {word}")));
            }
            _ if is_reserved(&word) => {
                (self.at, self.rest) = (at, before);
                return Err(self.unexpected("an expression is missing"));
            }
            _ => return Ok(SyntaxNode { at, kind: Expression::Name(word) }),
        };
        Ok(SyntaxNode { at, kind: Expression::Literal(value) })
    }

    fn is_quote(&self) -> bool {
        matches!(self.peek(), Some('\'' | '"'))
    }

    fn number(&mut self) -> Result<ConsoleValue, ConsoleFault> {
        let at = self.at;
        let mut digits = if self.takes('-') { "-".to_owned() } else { String::new() };
        digits += &self.take_while(|c| c.is_ascii_digit());
        let after_point = self.rest.strip_prefix('.');
        let is_fraction = after_point.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if is_fraction {
            self.next();
            digits = format!("{digits}.{}", self.take_while(|c| c.is_ascii_digit()));
        }
        if !digits.ends_with(|c: char| c.is_ascii_digit()) || self.peek().is_some_and(is_word_part) {
            return Err(ConsoleFault::at(at, "a number is written in decimal digits"));
        }
        let int = || digits.parse().map(ConsoleValue::Int).ok();
        let float = || digits.parse().map(|number| ConsoleValue::Float(Float(number))).ok();
        let number = if is_fraction { float() } else { int() };
        number.ok_or_else(|| ConsoleFault::at(at, "a number must fit into 64 bits"))
    }

    /// Texts, one after the other, are one text.
    fn texts(&mut self) -> Result<ConsoleValue, ConsoleFault> {
        let mut whole = String::new();
        while self.is_quote() {
            self.text(&mut whole)?;
            self.skip_blank();
        }
        Ok(ConsoleValue::text(&whole))
    }

    fn text(&mut self, text: &mut String) -> Result<(), ConsoleFault> {
        let at = self.at;
        let quote = self.peek().unwrap_or('"');
        let triple = quote.to_string().repeat(3);
        let is_long = self.rest.starts_with(&triple);
        let end = if is_long { triple } else { quote.to_string() };
        let skip = |parser: &mut Self| {
            for _ in end.chars() {
                parser.next();
            }
        };
        skip(self);
        while !self.rest.starts_with(&end) {
            let here = self.at;
            match self.next() {
                None if is_long => return Err(ConsoleFault::incomplete(at, "a text is not closed")),
                None => return Err(ConsoleFault::at(at, "a text is not closed")),
                Some('\n') if !is_long => {
                    return Err(ConsoleFault::at(at, "a text is not closed in its line"));
                }
                Some('\\') => text.extend(self.escaped(here)?),
                Some(c) => text.push(c),
            }
        }
        skip(self);
        Ok(())
    }

    /// What a backslash and the letter after it stand for; nothing at the end of a line.
    fn escaped(&mut self, at: TextPosition) -> Result<Option<char>, ConsoleFault> {
        match self.next() {
            Some('\n') => Ok(None),
            Some('n') => Ok(Some('\n')),
            Some('r') => Ok(Some('\r')),
            Some('t') => Ok(Some('\t')),
            Some(c @ ('\\' | '\'' | '"')) => Ok(Some(c)),
            _ => Err(ConsoleFault::at(
                at,
                "a backslash stands before n, r, t, a quote, a backslash or a line end",
            )),
        }
    }
}
