//! What a text of the console means: statements and expressions.
//!
//! Invariant: no expression is higher than [`MAX_HEIGHT`], so that whatever walks over one needs little stack.

use super::fault::{Fault, Place};
use super::value::Value;

/// How deep expressions may be nested; operators in a row count, too.
const MAX_HEIGHT: u16 = 100;

/// A statement, and where it starts.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) at: Place,
    pub(super) kind: StatementKind,
}

#[derive(Debug)]
pub(super) enum StatementKind {
    /// `request(kvm, 'i1')`
    Expression(Node),
    /// `a = 1`, `a, b = pair`
    Assign(Target, Node),
    /// `if` and every `elif`; then `else`
    If(Vec<(Node, Vec<Statement>)>, Vec<Statement>),
    /// `for a in list:`
    For(Target, Node, Vec<Statement>),
    /// `pass`
    Pass,
}

impl Statement {
    /// Whether statements belong to it.
    pub(super) fn is_block(&self) -> bool {
        matches!(self.kind, StatementKind::If(..) | StatementKind::For(..))
    }
}

/// What a value is given to.
#[derive(Debug)]
pub(super) enum Target {
    One(String),
    Several(Vec<String>),
}

/// An expression, and where it is.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) expression: Expression,
    height: u16,
}

#[derive(Debug)]
pub(super) enum Expression {
    Literal(Value),
    Name(String),
    /// The parts of an f-string: texts are literals.
    Format(Vec<Node>),
    List(Vec<Node>),
    Tuple(Vec<Node>),
    Dict(Vec<(Node, Node)>),
    Comprehension(Box<Comprehension>),
    Call {
        function: Box<Node>,
        positional: Vec<Node>,
        named: Vec<(String, Node)>,
    },
    Attribute(Box<Node>, String),
    Index(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negative(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    /// `yes if test else no`
    Conditional {
        test: Box<Node>,
        yes: Box<Node>,
        no: Box<Node>,
    },
}

/// `[item for target in source if condition]`
#[derive(Debug)]
pub(super) struct Comprehension {
    pub(super) item: Node,
    pub(super) target: Target,
    pub(super) source: Node,
    pub(super) condition: Option<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Modulo,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

impl Operator {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Modulo => "%",
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::NotIn => "not in",
        }
    }
}

impl Node {
    pub(super) fn new(at: Place, expression: Expression) -> Result<Self, Fault> {
        let height = 1 + expression.children().map(|child| child.height).max().unwrap_or(0);
        if height > MAX_HEIGHT {
            return Err(Fault::at(at, format!("an expression is nested deeper than {MAX_HEIGHT}")));
        }
        Ok(Self { at, expression, height })
    }
}

impl Expression {
    fn children(&self) -> impl Iterator<Item = &Node> {
        let (few, many): (Vec<&Node>, &[Node]) = match self {
            Self::Literal(_) | Self::Name(_) => (Vec::new(), &[]),
            Self::Format(nodes) | Self::List(nodes) | Self::Tuple(nodes) => (Vec::new(), nodes),
            Self::Dict(pairs) => (pairs.iter().flat_map(|(key, value)| [key, value]).collect(), &[]),
            Self::Comprehension(all) => (
                [Some(&all.item), Some(&all.source), all.condition.as_ref()].into_iter().flatten().collect(),
                &[],
            ),
            Self::Call { function, positional, named } => {
                let named = named.iter().map(|(_, node)| node);
                (std::iter::once(&**function).chain(named).collect(), positional)
            }
            Self::Attribute(node, _) | Self::Not(node) | Self::Negative(node) => (vec![node], &[]),
            Self::Index(a, b) | Self::Binary(_, a, b) | Self::And(a, b) | Self::Or(a, b) => (vec![a, b], &[]),
            Self::Conditional { test, yes, no } => (vec![test, yes, no], &[]),
        };
        few.into_iter().chain(many)
    }
}
