//! From words to statements. The grammar is a part of Python's: what is not in it is named in the error.
//!
//! Invariant: no expression is higher than [`MAX_HEIGHT`], so that whatever walks over one needs little stack.

use super::fault::{Fault, Place};
use super::lexer::{self, Kind, Piece, Token};
use super::value::{Shape, Value};
use slapledger_slap_wire::marshal::Float;

/// How deep brackets may be nested.
const MAX_DEPTH: usize = 40;
/// How deep expressions may be nested; operators in a row count, too.
const MAX_HEIGHT: u16 = 100;

/// Words that name nothing.
pub(super) const KEYWORDS: [&str; 13] =
    ["False", "None", "True", "and", "elif", "else", "for", "if", "in", "is", "not", "or", "pass"];

/// Words of Python that the console does not have.
const ABSENT: [&str; 22] = [
    "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "except", "finally",
    "from", "global", "import", "lambda", "nonlocal", "raise", "return", "try", "while", "with", "yield",
];

/// The operators with two sides, those that bind least first. `is` means `==` here.
const OPERATORS: [&[&str]; 5] = [
    &["or"],
    &["and"],
    &["==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not"],
    &["+", "-"],
    &["*", "%", "/", "//", "**"],
];
/// Comparisons, which `not` goes before.
const COMPARISON: usize = 2;

/// What a text has done, in order.
#[derive(Debug)]
pub(super) enum Statement {
    /// `request(kvm, 'i1')`
    Expression(Node),
    /// `a = 1`, `a, b = pair`
    Assign(Target, Node),
    /// `if`, every `elif`, and `else`, which has no test.
    If(Vec<(Option<Node>, Vec<Statement>)>),
    /// `for a in list:`
    For(Target, Node, Vec<Statement>),
    /// `pass`
    Pass,
}

impl Statement {
    /// Whether statements belong to it.
    pub(super) fn is_block(&self) -> bool {
        matches!(self, Self::If(..) | Self::For(..))
    }
}

/// What a value is given to.
#[derive(Debug)]
pub(super) enum Target {
    One(String),
    Several(Vec<String>),
}

/// An expression with those it is made of, and where it is.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) kind: Expression,
    pub(super) parts: Vec<Node>,
    height: u16,
}

#[derive(Debug)]
pub(super) enum Expression {
    Literal(Value),
    Name(String),
    /// An f-text: its texts are literals.
    Format,
    /// The keys and values of a dictionary by turns.
    Many(Shape),
    /// `[item for target in source if condition]`: item, source, and a condition, if there is one.
    Comprehension(Target),
    /// The function and its arguments, the last of which have these names.
    Call(Vec<String>),
    Attribute(String),
    Index,
    Not,
    Negative,
    Binary(&'static str),
    /// `yes if test else no`, in this order.
    Conditional,
}

fn node(at: Place, kind: Expression, parts: Vec<Node>) -> Result<Node, Fault> {
    let height = 1 + parts.iter().map(|part| part.height).max().unwrap_or(0);
    if height > MAX_HEIGHT {
        return Err(Fault::at(at, format!("an expression is nested deeper than {MAX_HEIGHT}")));
    }
    Ok(Node { at, kind, parts, height })
}

fn literal(at: Place, value: Value) -> Result<Node, Fault> {
    node(at, Expression::Literal(value), Vec::new())
}

/// The statements of a text.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>, Fault> {
    let mut parser = Parser { tokens: lexer::tokens(text, Place { line: 1, column: 1 })?, next: 0, depth: 0 };
    let mut statements = Vec::new();
    while *parser.peek() != Kind::End {
        parser.statement(&mut statements)?;
    }
    Ok(statements)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    /// The last token is [`Kind::End`], and it is never passed.
    fn token(&self) -> &Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> &Kind {
        &self.token().kind
    }

    fn at(&self) -> Place {
        self.token().at
    }

    /// Whether this sign or word is next.
    fn is(&self, word: &str) -> bool {
        match self.peek() {
            Kind::Sign(sign) => *sign == word,
            Kind::Name(name) => name == word,
            _ => false,
        }
    }

    fn takes(&mut self, word: &str) -> bool {
        let is_there = self.is(word);
        self.next += usize::from(is_there);
        is_there
    }

    fn takes_kind(&mut self, kind: &Kind) -> bool {
        let is_there = self.peek() == kind;
        self.next += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, word: &str) -> Result<(), Fault> {
        if self.takes(word) { Ok(()) } else { Err(self.unexpected(&format!("{word} is missing"))) }
    }

    /// What is wrong at this word.
    fn unexpected(&self, missing: &str) -> Fault {
        let at = self.at();
        match self.peek() {
            Kind::End => Fault::incomplete(at, format!("{missing} at the end")),
            Kind::Name(word) if ABSENT.contains(&word.as_str()) => {
                Fault::at(at, format!("the console has no {word:?}; help() says what it has"))
            }
            Kind::Name(word) => Fault::at(at, format!("{missing} before {word}")),
            Kind::Int(_) | Kind::Float(_) => Fault::at(at, format!("{missing} before a number")),
            Kind::Text(_) => Fault::at(at, format!("{missing} before a text")),
            Kind::Sign(sign) => Fault::at(at, format!("{missing} before {sign}")),
            Kind::Newline => Fault::at(at, format!("{missing} at the end of the line")),
            Kind::Indent => Fault::at(at, "this line is indented, and nothing says why"),
            Kind::Dedent => Fault::at(at, format!("{missing} in the block")),
        }
    }

    /// A statement with its blocks, or the statements of a line.
    fn statement(&mut self, statements: &mut Vec<Statement>) -> Result<(), Fault> {
        let statement = if self.takes("if") {
            let mut branches = vec![(Some(self.expression()?), self.block()?)];
            while self.takes("elif") {
                branches.push((Some(self.expression()?), self.block()?));
            }
            if self.takes("else") {
                branches.push((None, self.block()?));
            }
            Statement::If(branches)
        } else if self.takes("for") {
            let target = self.target()?;
            self.expect("in")?;
            Statement::For(target, self.tuple()?, self.block()?)
        } else {
            return self.line(statements);
        };
        statements.push(statement);
        Ok(())
    }

    /// Statements with semicolons between them, up to the end of the line.
    fn line(&mut self, statements: &mut Vec<Statement>) -> Result<(), Fault> {
        loop {
            statements.push(self.simple()?);
            let is_more = self.takes(";");
            if self.takes_kind(&Kind::Newline) || *self.peek() == Kind::End {
                return Ok(());
            }
            if !is_more {
                return Err(self.unexpected("the end of the line or an operator is missing"));
            }
        }
    }

    fn block(&mut self) -> Result<Vec<Statement>, Fault> {
        const MISSING: &str = "an indented block is missing";
        self.expect(":")?;
        let mut statements = Vec::new();
        if !self.takes_kind(&Kind::Newline) {
            self.line(&mut statements)?;
            return Ok(statements);
        }
        if !self.takes_kind(&Kind::Indent) {
            return Err(match self.peek() {
                Kind::End | Kind::Dedent => Fault::incomplete(self.at(), MISSING),
                _ => Fault::at(self.at(), MISSING),
            });
        }
        while !matches!(self.peek(), Kind::Dedent | Kind::End) {
            self.statement(&mut statements)?;
        }
        self.takes_kind(&Kind::Dedent);
        Ok(statements)
    }

    fn simple(&mut self) -> Result<Statement, Fault> {
        if self.takes("pass") {
            return Ok(Statement::Pass);
        }
        let value = self.tuple()?;
        let at = self.at();
        if self.takes("=") {
            return Ok(Statement::Assign(assigned(value)?, self.tuple()?));
        }
        if self.takes("+=") {
            let Expression::Name(name) = &value.kind else {
                return Err(Fault::at(value.at, "only a name can be added to"));
            };
            let target = Target::One(name.clone());
            let sum = node(at, Expression::Binary("+"), vec![value, self.tuple()?])?;
            return Ok(Statement::Assign(target, sum));
        }
        Ok(Statement::Expression(value))
    }

    fn target(&mut self) -> Result<Target, Fault> {
        let first = self.identifier()?;
        if !self.is(",") {
            return Ok(Target::One(first));
        }
        let mut names = vec![first];
        while self.takes(",") && !self.is("in") {
            names.push(self.identifier()?);
        }
        Ok(Target::Several(names))
    }

    fn identifier(&mut self) -> Result<String, Fault> {
        match self.peek().clone() {
            Kind::Name(name) if !is_reserved(&name) => {
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("a name is missing")),
        }
    }

    /// Expressions with commas between them.
    fn tuple(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        let first = self.expression()?;
        if !self.is(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.takes(",") {
            let is_over =
                matches!(self.peek(), Kind::Newline | Kind::End | Kind::Sign(")" | "=" | ":" | ";"));
            if is_over {
                break;
            }
            items.push(self.expression()?);
        }
        node(at, Expression::Many(Shape::Tuple), items)
    }

    fn expression(&mut self) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::at(self.at(), format!("an expression is nested deeper than {MAX_DEPTH}")));
        }
        let at = self.at();
        let mut value = self.operation(0)?;
        if self.takes("if") {
            let test = self.operation(0)?;
            self.expect("else")?;
            value = node(at, Expression::Conditional, vec![value, test, self.expression()?])?;
        }
        self.depth -= 1;
        Ok(value)
    }

    /// Operators that bind at least so much, and what is between them.
    fn operation(&mut self, level: usize) -> Result<Node, Fault> {
        let nots = if level == COMPARISON { self.prefixes("not") } else { Vec::new() };
        let mut left = if level == OPERATORS.len() { self.negative()? } else { self.operation(level + 1)? };
        let mut is_compared = false;
        loop {
            let at = self.at();
            let Some(sign) = self.operator(level) else { break };
            if is_compared {
                return Err(Fault::at(at, "comparisons are not chained here; join them with and"));
            }
            if matches!(sign, "/" | "//" | "**") {
                return Err(Fault::at(at, format!("the console has no {sign}; it has + - * and %")));
            }
            is_compared = level == COMPARISON;
            left = node(at, Expression::Binary(sign), vec![left, self.operation(level + 1)?])?;
        }
        for at in nots.into_iter().rev() {
            left = node(at, Expression::Not, vec![left])?;
        }
        Ok(left)
    }

    /// Takes an operator of a level, which may have two words.
    fn operator(&mut self, level: usize) -> Option<&'static str> {
        let is_next = |sign: &&&str| sign.split(' ').next().is_some_and(|first| self.is(first));
        let sign = *OPERATORS.get(level)?.iter().find(is_next)?;
        let is_word = |at: usize, word: &str| matches!(self.tokens.get(at).map(|token| &token.kind), Some(Kind::Name(name)) if name == word);
        let (words, sign) = match sign {
            "not in" if !is_word(self.next + 1, "in") => return None,
            "not in" => (2, "not in"),
            "is" if is_word(self.next + 1, "not") => (2, "!="),
            "is" => (1, "=="),
            sign => (1, sign),
        };
        self.next += words;
        Some(sign)
    }

    /// Where a prefix stands, as often as it does.
    fn prefixes(&mut self, prefix: &str) -> Vec<Place> {
        let mut places = Vec::new();
        while self.is(prefix) {
            places.push(self.at());
            self.next += 1;
        }
        places
    }

    fn negative(&mut self) -> Result<Node, Fault> {
        let signs = self.prefixes("-");
        let mut value = self.postfix()?;
        for at in signs.into_iter().rev() {
            value = node(at, Expression::Negative, vec![value])?;
        }
        Ok(value)
    }

    fn postfix(&mut self) -> Result<Node, Fault> {
        let mut value = self.atom()?;
        loop {
            let at = self.at();
            value = if self.takes(".") {
                node(at, Expression::Attribute(self.identifier()?), vec![value])?
            } else if self.takes("[") {
                let index = self.expression()?;
                if self.is(":") {
                    return Err(Fault::at(self.at(), "the console has no slices"));
                }
                self.expect("]")?;
                node(at, Expression::Index, vec![value, index])?
            } else if self.takes("(") {
                self.call(at, value)?
            } else {
                return Ok(value);
            };
        }
    }

    fn call(&mut self, at: Place, function: Node) -> Result<Node, Fault> {
        let (mut parts, mut names) = (vec![function], Vec::new());
        while !self.is(")") {
            let at = self.at();
            let mut value = self.expression()?;
            if self.takes("=") {
                let Expression::Name(name) = value.kind else {
                    return Err(Fault::at(at, "the name of an argument is missing before ="));
                };
                if names.contains(&name) {
                    return Err(Fault::at(at, format!("argument {name} is given twice")));
                }
                names.push(name);
                value = self.expression()?;
            } else if !names.is_empty() {
                return Err(Fault::at(at, "an argument without a name stands after one with a name"));
            }
            parts.push(value);
            if !self.takes(",") {
                break;
            }
        }
        self.expect(")")?;
        node(at, Expression::Call(names), parts)
    }

    fn atom(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        let value = match self.peek().clone() {
            Kind::Name(name) => match name.as_str() {
                "None" => Value::None,
                "True" => Value::Bool(true),
                "False" => Value::Bool(false),
                name if is_reserved(name) => return Err(self.unexpected("an expression is missing")),
                _ => {
                    self.next += 1;
                    return node(at, Expression::Name(name), Vec::new());
                }
            },
            Kind::Int(number) => Value::Int(number),
            Kind::Float(number) => Value::Float(Float(number)),
            Kind::Text(_) => return self.text(),
            Kind::Sign("(") => {
                self.next += 1;
                if self.takes(")") {
                    return node(at, Expression::Many(Shape::Tuple), Vec::new());
                }
                let inner = self.tuple()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Kind::Sign("[") => return self.list(),
            Kind::Sign("{") => return self.dict(),
            _ => return Err(self.unexpected("an expression is missing")),
        };
        self.next += 1;
        literal(at, value)
    }

    /// Texts, one after the other, are one text.
    fn text(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        let (mut parts, mut whole) = (Vec::new(), String::new());
        while let Kind::Text(pieces) = self.peek().clone() {
            for piece in pieces {
                match piece {
                    Piece::Text(text) => whole.push_str(&text),
                    Piece::Source(source, place) => {
                        parts.push(literal(at, Value::text(&std::mem::take(&mut whole)))?);
                        parts.push(self.inner(&source, place)?);
                    }
                }
            }
            self.next += 1;
        }
        let rest = literal(at, Value::text(&whole))?;
        if parts.is_empty() {
            return Ok(rest);
        }
        parts.push(rest);
        node(at, Expression::Format, parts)
    }

    fn inner(&self, source: &str, place: Place) -> Result<Node, Fault> {
        let tokens = lexer::tokens(source.trim(), place)?;
        let mut parser = Self { tokens, next: 0, depth: self.depth };
        let value = parser.expression()?;
        match parser.peek() {
            Kind::Newline | Kind::End => Ok(value),
            _ => {
                let wrong = format!("{{{source}}} is not an expression; a format is not given here");
                Err(Fault::at(place, wrong))
            }
        }
    }

    fn list(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        self.next += 1;
        let mut items = Vec::new();
        while !self.is("]") {
            items.push(self.expression()?);
            if items.len() == 1 && self.takes("for") {
                let target = self.target()?;
                self.expect("in")?;
                items.push(self.operation(0)?);
                if self.takes("if") {
                    items.push(self.operation(0)?);
                }
                self.expect("]")?;
                return node(at, Expression::Comprehension(target), items);
            }
            if !self.takes(",") {
                break;
            }
        }
        self.expect("]")?;
        node(at, Expression::Many(Shape::List), items)
    }

    fn dict(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        self.next += 1;
        let mut pairs = Vec::new();
        while !self.is("}") {
            pairs.push(self.expression()?);
            self.expect(":")?;
            pairs.push(self.expression()?);
            if !self.takes(",") {
                break;
            }
        }
        self.expect("}")?;
        node(at, Expression::Many(Shape::Dict), pairs)
    }
}

fn is_reserved(name: &str) -> bool {
    KEYWORDS.contains(&name) || ABSENT.contains(&name)
}

/// What stands before an equals sign.
fn assigned(value: Node) -> Result<Target, Fault> {
    let name = |value: Node| match value.kind {
        Expression::Name(name) => Ok(name),
        _ => Err(Fault::at(value.at, "only a name can be given a value")),
    };
    match value.kind {
        Expression::Many(Shape::Tuple) if !value.parts.is_empty() => {
            Ok(Target::Several(value.parts.into_iter().map(name).collect::<Result<_, _>>()?))
        }
        _ => name(value).map(Target::One),
    }
}
