//! From words to statements. The grammar is a part of Python's: what is not in it is named in the error.

use super::fault::{Fault, Place};
use super::lexer::{self, Kind, Piece, Token};
use super::syntax::{Comprehension, Expression, Node, Operator, Statement, StatementKind, Target};
use super::value::Value;
use slapledger_slap_wire::marshal::Float;

/// How deep brackets may be nested.
const MAX_DEPTH: usize = 40;

/// Words that name nothing.
pub(super) const KEYWORDS: [&str; 13] =
    ["False", "None", "True", "and", "elif", "else", "for", "if", "in", "is", "not", "or", "pass"];

/// Words of Python that the console does not have.
const ABSENT: [&str; 22] = [
    "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "except", "finally",
    "from", "global", "import", "lambda", "nonlocal", "raise", "return", "try", "while", "with", "yield",
];

/// The statements of a text.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>, Fault> {
    let tokens = lexer::tokens(text, Place { line: 1, column: 1 })?;
    let mut parser = Parser { tokens, next: 0, depth: 0 };
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

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Kind::Sign(found) if *found == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Kind::Name(found) if found == word)
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let is_there = self.is_sign(sign);
        self.next += usize::from(is_there);
        is_there
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_there = self.is_word(word);
        self.next += usize::from(is_there);
        is_there
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), Fault> {
        if self.takes_sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("{sign} is missing"))) }
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
            Kind::Text(_) | Kind::Format(_) => Fault::at(at, format!("{missing} before a text")),
            Kind::Sign(sign) => Fault::at(at, format!("{missing} before {sign}")),
            Kind::Newline => Fault::at(at, format!("{missing} at the end of the line")),
            Kind::Indent => Fault::at(at, "this line is indented, and nothing says why"),
            Kind::Dedent => Fault::at(at, format!("{missing} in the block")),
        }
    }

    /// A statement with its blocks, or the statements of a line.
    fn statement(&mut self, statements: &mut Vec<Statement>) -> Result<(), Fault> {
        let at = self.at();
        let kind = if self.takes_word("if") {
            self.branches()?
        } else if self.takes_word("for") {
            let target = self.target()?;
            if !self.takes_word("in") {
                return Err(self.unexpected("in is missing"));
            }
            let source = self.tuple()?;
            StatementKind::For(target, source, self.block()?)
        } else {
            return self.line(statements);
        };
        statements.push(Statement { at, kind });
        Ok(())
    }

    /// Statements with semicolons between them, up to the end of the line.
    fn line(&mut self, statements: &mut Vec<Statement>) -> Result<(), Fault> {
        loop {
            let at = self.at();
            let kind = self.simple()?;
            statements.push(Statement { at, kind });
            let is_more = self.takes_sign(";");
            if matches!(self.peek(), Kind::Newline | Kind::End) {
                self.next += usize::from(*self.peek() == Kind::Newline);
                return Ok(());
            }
            if !is_more {
                return Err(self.unexpected("the end of the line or an operator is missing"));
            }
        }
    }

    fn branches(&mut self) -> Result<StatementKind, Fault> {
        let mut branches = vec![(self.expression()?, self.block()?)];
        while self.takes_word("elif") {
            branches.push((self.expression()?, self.block()?));
        }
        let otherwise = if self.takes_word("else") { self.block()? } else { Vec::new() };
        Ok(StatementKind::If(branches, otherwise))
    }

    fn block(&mut self) -> Result<Vec<Statement>, Fault> {
        self.expect_sign(":")?;
        let mut statements = Vec::new();
        if *self.peek() != Kind::Newline {
            self.line(&mut statements)?;
            return Ok(statements);
        }
        self.next += 1;
        if *self.peek() != Kind::Indent {
            return Err(match self.peek() {
                Kind::End | Kind::Dedent => Fault::incomplete(self.at(), "an indented block is missing"),
                _ => Fault::at(self.at(), "an indented block is missing"),
            });
        }
        self.next += 1;
        while !matches!(self.peek(), Kind::Dedent | Kind::End) {
            self.statement(&mut statements)?;
        }
        self.next += usize::from(*self.peek() == Kind::Dedent);
        Ok(statements)
    }

    fn simple(&mut self) -> Result<StatementKind, Fault> {
        if self.takes_word("pass") {
            return Ok(StatementKind::Pass);
        }
        let value = self.tuple()?;
        let at = self.at();
        if self.takes_sign("=") {
            let target = assigned(value)?;
            return Ok(StatementKind::Assign(target, self.tuple()?));
        }
        if self.takes_sign("+=") {
            let name = match &value.expression {
                Expression::Name(name) => name.clone(),
                _ => return Err(Fault::at(value.at, "only a name can be added to")),
            };
            let sum = Expression::Binary(Operator::Add, Box::new(value), Box::new(self.tuple()?));
            return Ok(StatementKind::Assign(Target::One(name), Node::new(at, sum)?));
        }
        Ok(StatementKind::Expression(value))
    }

    fn target(&mut self) -> Result<Target, Fault> {
        let mut names = vec![self.identifier("a name is missing")?];
        let mut is_several = false;
        while self.takes_sign(",") {
            is_several = true;
            if self.is_word("in") {
                break;
            }
            names.push(self.identifier("a name is missing")?);
        }
        match names.pop() {
            Some(name) if !is_several => Ok(Target::One(name)),
            last => Ok(Target::Several(names.into_iter().chain(last).collect())),
        }
    }

    fn identifier(&mut self, missing: &str) -> Result<String, Fault> {
        match self.peek() {
            Kind::Name(name) if !is_reserved(name) => {
                let name = name.clone();
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.unexpected(missing)),
        }
    }

    /// Expressions with commas between them.
    fn tuple(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        let first = self.expression()?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.takes_sign(",") {
            let is_over = match self.peek() {
                Kind::Newline | Kind::End => true,
                Kind::Sign(sign) => matches!(*sign, ")" | "=" | ":" | ";"),
                _ => false,
            };
            if is_over {
                break;
            }
            items.push(self.expression()?);
        }
        Node::new(at, Expression::Tuple(items))
    }

    fn expression(&mut self) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::at(self.at(), format!("an expression is nested deeper than {MAX_DEPTH}")));
        }
        let at = self.at();
        let mut node = self.or()?;
        if self.takes_word("if") {
            let test = self.or()?;
            if !self.takes_word("else") {
                return Err(self.unexpected("else is missing"));
            }
            let no = self.expression()?;
            let [test, yes, no] = [test, node, no].map(Box::new);
            node = Node::new(at, Expression::Conditional { test, yes, no })?;
        }
        self.depth -= 1;
        Ok(node)
    }

    fn or(&mut self) -> Result<Node, Fault> {
        let mut left = self.and()?;
        while self.is_word("or") {
            let at = self.at();
            self.next += 1;
            left = Node::new(at, Expression::Or(Box::new(left), Box::new(self.and()?)))?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Node, Fault> {
        let mut left = self.not()?;
        while self.is_word("and") {
            let at = self.at();
            self.next += 1;
            left = Node::new(at, Expression::And(Box::new(left), Box::new(self.not()?)))?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Node, Fault> {
        let mut nots = Vec::new();
        while self.is_word("not") {
            nots.push(self.at());
            self.next += 1;
        }
        let mut node = self.comparison()?;
        for at in nots.into_iter().rev() {
            node = Node::new(at, Expression::Not(Box::new(node)))?;
        }
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, Fault> {
        let left = self.sum()?;
        let at = self.at();
        let Some(operator) = self.comparing()? else { return Ok(left) };
        let right = self.sum()?;
        let node = Node::new(at, Expression::Binary(operator, Box::new(left), Box::new(right)))?;
        let at = self.at();
        match self.comparing()? {
            None => Ok(node),
            Some(_) => Err(Fault::at(at, "comparisons are not chained here; join them with and")),
        }
    }

    fn comparing(&mut self) -> Result<Option<Operator>, Fault> {
        let operator = match self.peek() {
            Kind::Sign("==") => Operator::Equal,
            Kind::Sign("!=") => Operator::Unequal,
            Kind::Sign("<") => Operator::Less,
            Kind::Sign("<=") => Operator::LessOrEqual,
            Kind::Sign(">") => Operator::Greater,
            Kind::Sign(">=") => Operator::GreaterOrEqual,
            Kind::Name(word) if word == "in" => Operator::In,
            Kind::Name(word) if word == "is" => {
                self.next += 1;
                return Ok(Some(if self.takes_word("not") { Operator::Unequal } else { Operator::Equal }));
            }
            Kind::Name(word) if word == "not" => {
                self.next += 1;
                if !self.is_word("in") {
                    return Err(self.unexpected("in is missing"));
                }
                Operator::NotIn
            }
            _ => return Ok(None),
        };
        self.next += 1;
        Ok(Some(operator))
    }

    fn sum(&mut self) -> Result<Node, Fault> {
        let mut left = self.product()?;
        loop {
            let at = self.at();
            let operator = match self.peek() {
                Kind::Sign("+") => Operator::Add,
                Kind::Sign("-") => Operator::Subtract,
                _ => return Ok(left),
            };
            self.next += 1;
            left = Node::new(at, Expression::Binary(operator, Box::new(left), Box::new(self.product()?)))?;
        }
    }

    fn product(&mut self) -> Result<Node, Fault> {
        let mut left = self.negative()?;
        loop {
            let at = self.at();
            let operator = match self.peek() {
                Kind::Sign("*") => Operator::Multiply,
                Kind::Sign("%") => Operator::Modulo,
                Kind::Sign(sign @ ("/" | "//" | "**")) => {
                    return Err(Fault::at(at, format!("the console has no {sign}; it has + - * and %")));
                }
                _ => return Ok(left),
            };
            self.next += 1;
            left = Node::new(at, Expression::Binary(operator, Box::new(left), Box::new(self.negative()?)))?;
        }
    }

    fn negative(&mut self) -> Result<Node, Fault> {
        let mut signs = Vec::new();
        while self.is_sign("-") {
            signs.push(self.at());
            self.next += 1;
        }
        let mut node = self.postfix()?;
        for at in signs.into_iter().rev() {
            node = Node::new(at, Expression::Negative(Box::new(node)))?;
        }
        Ok(node)
    }

    fn postfix(&mut self) -> Result<Node, Fault> {
        let mut node = self.atom()?;
        loop {
            let at = self.at();
            let expression = if self.takes_sign(".") {
                Expression::Attribute(Box::new(node), self.identifier("a name is missing")?)
            } else if self.takes_sign("[") {
                let index = self.expression()?;
                if self.is_sign(":") {
                    return Err(Fault::at(self.at(), "the console has no slices"));
                }
                self.expect_sign("]")?;
                Expression::Index(Box::new(node), Box::new(index))
            } else if self.takes_sign("(") {
                self.call(node)?
            } else {
                return Ok(node);
            };
            node = Node::new(at, expression)?;
        }
    }

    fn call(&mut self, function: Node) -> Result<Expression, Fault> {
        let (mut positional, mut named): (Vec<Node>, Vec<(String, Node)>) = (Vec::new(), Vec::new());
        while !self.is_sign(")") {
            let at = self.at();
            let value = self.expression()?;
            if self.takes_sign("=") {
                let Expression::Name(name) = value.expression else {
                    return Err(Fault::at(at, "the name of an argument is missing before ="));
                };
                if named.iter().any(|(known, _)| *known == name) {
                    return Err(Fault::at(at, format!("argument {name} is given twice")));
                }
                named.push((name, self.expression()?));
            } else if named.is_empty() {
                positional.push(value);
            } else {
                return Err(Fault::at(at, "an argument without a name stands after one with a name"));
            }
            if !self.takes_sign(",") {
                break;
            }
        }
        self.expect_sign(")")?;
        Ok(Expression::Call { function: Box::new(function), positional, named })
    }

    fn atom(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        let expression = match self.peek().clone() {
            Kind::Name(name) => match name.as_str() {
                "None" => Expression::Literal(Value::None),
                "True" => Expression::Literal(Value::Bool(true)),
                "False" => Expression::Literal(Value::Bool(false)),
                name if is_reserved(name) => return Err(self.unexpected("an expression is missing")),
                _ => Expression::Name(name),
            },
            Kind::Int(number) => Expression::Literal(Value::Int(number)),
            Kind::Float(number) => Expression::Literal(Value::Float(Float(number))),
            Kind::Text(_) | Kind::Format(_) => return self.text(),
            Kind::Sign("(") => return self.parenthesis(),
            Kind::Sign("[") => return self.list(),
            Kind::Sign("{") => return self.dict(),
            _ => return Err(self.unexpected("an expression is missing")),
        };
        self.next += 1;
        Node::new(at, expression)
    }

    /// Texts, one after the other, are one text.
    fn text(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        let mut parts = Vec::new();
        let mut whole = String::new();
        loop {
            let here = self.at();
            match self.peek().clone() {
                Kind::Text(text) => whole.push_str(&text),
                Kind::Format(pieces) => {
                    for piece in pieces {
                        match piece {
                            Piece::Text(text) => whole.push_str(&text),
                            Piece::Source(source, place) => {
                                let text = Value::text(&std::mem::take(&mut whole));
                                parts.push(Node::new(here, Expression::Literal(text))?);
                                parts.push(self.inner(&source, place)?);
                            }
                        }
                    }
                }
                _ => break,
            }
            self.next += 1;
        }
        let text = Expression::Literal(Value::text(&whole));
        if parts.is_empty() {
            return Node::new(at, text);
        }
        parts.push(Node::new(at, text)?);
        Node::new(at, Expression::Format(parts))
    }

    fn inner(&self, source: &str, place: Place) -> Result<Node, Fault> {
        let tokens = lexer::tokens(source.trim(), place)?;
        let mut parser = Self { tokens, next: 0, depth: self.depth };
        let node = parser.expression()?;
        match parser.peek() {
            Kind::Newline | Kind::End => Ok(node),
            _ => Err(Fault::at(
                place,
                format!("{{{source}}} is not an expression; a format is not given here"),
            )),
        }
    }

    fn parenthesis(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        self.next += 1;
        if self.takes_sign(")") {
            return Node::new(at, Expression::Tuple(Vec::new()));
        }
        let node = self.tuple()?;
        self.expect_sign(")")?;
        Ok(node)
    }

    fn list(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        self.next += 1;
        let mut items = Vec::new();
        while !self.is_sign("]") {
            items.push(self.expression()?);
            if items.len() == 1 && self.takes_word("for") {
                let Some(item) = items.pop() else { continue };
                return self.comprehension(at, item);
            }
            if !self.takes_sign(",") {
                break;
            }
        }
        self.expect_sign("]")?;
        Node::new(at, Expression::List(items))
    }

    fn comprehension(&mut self, at: Place, item: Node) -> Result<Node, Fault> {
        let target = self.target()?;
        if !self.takes_word("in") {
            return Err(self.unexpected("in is missing"));
        }
        let source = self.or()?;
        let condition = if self.takes_word("if") { Some(self.or()?) } else { None };
        self.expect_sign("]")?;
        let all = Comprehension { item, target, source, condition };
        Node::new(at, Expression::Comprehension(Box::new(all)))
    }

    fn dict(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        self.next += 1;
        let mut pairs = Vec::new();
        while !self.is_sign("}") {
            let key = self.expression()?;
            self.expect_sign(":")?;
            pairs.push((key, self.expression()?));
            if !self.takes_sign(",") {
                break;
            }
        }
        self.expect_sign("}")?;
        Node::new(at, Expression::Dict(pairs))
    }
}

fn is_reserved(name: &str) -> bool {
    KEYWORDS.contains(&name) || ABSENT.contains(&name)
}

/// What stands before an equals sign.
fn assigned(node: Node) -> Result<Target, Fault> {
    let name = |node: Node| match node.expression {
        Expression::Name(name) => Ok(name),
        _ => Err(Fault::at(node.at, "only a name can be given a value")),
    };
    match node.expression {
        Expression::Tuple(items) if !items.is_empty() => {
            Ok(Target::Several(items.into_iter().map(name).collect::<Result<_, _>>()?))
        }
        _ => name(node).map(Target::One),
    }
}
