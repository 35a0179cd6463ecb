//! Carries out statements, within bounds of steps and memory.

use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;

use super::builtins::{self, Arguments, FUNCTIONS, Function};
use super::fault::Fault;
use super::instance::Instance;
use super::parser;
use super::syntax::{Comprehension, Expression, Node, Operator, Statement, StatementKind, Target};
use super::value::{ITEM, Value, check_weight};
use crate::catalogue::Catalogue;
use crate::master::{Master, Wanted};
use slapledger_slap_wire::marshal;

/// How many steps a text may take.
const MAX_STEPS: u64 = 1_000_000;
/// How much a text may make and go through in all, in the weight of values.
const MAX_WORK: usize = 256 * 1024 * 1024;
/// The longest text, in bytes.
pub(super) const MAX_TEXT: usize = 1024 * 1024;
/// The longest range.
const MAX_RANGE: i64 = 100_000;

/// The name whose attributes are the products of the master.
const PRODUCT: &str = "product";

const HELP: &str = "\
request(software, name)  requests an instance; the same again is the same instance. Further arguments, by name:
                         partition_parameter_kw={}, software_type='', filter_kw={}, state='', shared=False
supply(software, computer, state='available')  has software on a computer
an instance has          getParameter(key), getConnectionParameterDict(), getInstanceParameterDict(), getId(),
                         getComputerId(), getState(), getStatus(), getInstanceGuid(), getSoftwareRelease(),
                         rename(new_name), bang(message)
software                 by the short names of the catalogue, without quotes; product.NAME; or by its address
besides                  dir() dir(value) help() int() len() print() range() repr() sorted() str() type() json
the language             names, texts, f-texts, numbers, lists, tuples, dictionaries, [a for b in c], if, for";

/// The names of a console and what they stand for.
pub(super) struct Console<'a> {
    names: BTreeMap<String, Value>,
    master: Rc<Master>,
    catalogue: Catalogue,
    out: Box<dyn Write + 'a>,
    steps: u64,
    work: usize,
}

impl<'a> Console<'a> {
    /// A console of a master; the short names of the catalogue are names of it.
    pub(super) fn new(master: Master, catalogue: Catalogue, out: Box<dyn Write + 'a>) -> Self {
        let software = catalogue.names().map(|(name, release)| (variable(name), Value::text(release)));
        let mut names: BTreeMap<_, _> = software.filter(|(name, _)| is_name(name)).collect();
        names.extend(
            FUNCTIONS.iter().map(|function| (function.name().to_owned(), Value::Function(*function))),
        );
        names.extend(["json", PRODUCT].map(|name| (name.to_owned(), Value::Module(name))));
        Self { names, master: Rc::new(master), catalogue, out, steps: 0, work: 0 }
    }

    /// Every name, and the methods of what it stands for.
    pub(super) fn names(&self) -> BTreeMap<String, &'static [&'static str]> {
        self.names.iter().map(|(name, value)| (name.clone(), builtins::methods(value))).collect()
    }

    /// Carries out a text. The values of its expressions are printed, as at the prompt of Python.
    pub(super) fn run(&mut self, text: &str) -> Result<(), Fault> {
        if text.len() > MAX_TEXT {
            return Err(Fault::new(format!("a text is longer than {} MiB", MAX_TEXT >> 20)));
        }
        let statements = parser::parse(text)?;
        (self.steps, self.work) = (0, 0);
        for statement in &statements {
            if let StatementKind::Expression(node) = &statement.kind {
                let value = self.value(node)?;
                if !matches!(value, Value::None) {
                    self.print(&value.repr());
                }
            } else {
                self.carry_out(statement)?;
            }
        }
        Ok(())
    }

    /// Whoever reads may have seen enough: that stops nothing.
    fn print(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
        let _ = self.out.flush();
    }

    fn step(&mut self, node: &Node) -> Result<(), Fault> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Fault::at(node.at, format!("this takes more than {MAX_STEPS} steps")));
        }
        Ok(())
    }

    /// Counts what is gone through.
    fn work(&mut self, weight: usize) -> Result<(), Fault> {
        self.work = self.work.saturating_add(weight);
        if self.work > MAX_WORK {
            return Err(Fault::new(format!("this goes through more than {} MiB", MAX_WORK >> 20)));
        }
        Ok(())
    }

    /// Counts what was made.
    fn made(&mut self, value: Value) -> Result<Value, Fault> {
        check_weight(value.weight())?;
        self.work(value.weight())?;
        Ok(value)
    }

    fn carry_out(&mut self, statement: &Statement) -> Result<(), Fault> {
        match &statement.kind {
            StatementKind::Expression(node) => self.value(node).map(drop),
            StatementKind::Assign(target, node) => {
                let value = self.value(node)?;
                self.assign(target, value).map_err(|fault| fault.or_at(statement.at))
            }
            StatementKind::If(branches, otherwise) => {
                for (test, block) in branches {
                    if self.value(test)?.is_true() {
                        return self.block(block);
                    }
                }
                self.block(otherwise)
            }
            StatementKind::For(target, source, block) => {
                let items = self.value(source)?;
                let items = self.work(items.weight()).and_then(|()| items.items());
                for item in items.map_err(|fault| fault.or_at(source.at))? {
                    self.step(source)?;
                    self.assign(target, item).map_err(|fault| fault.or_at(statement.at))?;
                    self.block(block)?;
                }
                Ok(())
            }
            StatementKind::Pass => Ok(()),
        }
    }

    fn block(&mut self, statements: &[Statement]) -> Result<(), Fault> {
        statements.iter().try_for_each(|statement| self.carry_out(statement))
    }

    fn assign(&mut self, target: &Target, value: Value) -> Result<(), Fault> {
        match target {
            Target::One(name) => drop(self.names.insert(name.clone(), value)),
            Target::Several(names) => {
                let items = value.items()?;
                if items.len() != names.len() {
                    let (names, items) = (names.len(), items.len());
                    return Err(Fault::new(format!("{names} names, and {items} values for them")));
                }
                self.names.extend(names.iter().cloned().zip(items));
            }
        }
        Ok(())
    }

    fn value(&mut self, node: &Node) -> Result<Value, Fault> {
        self.step(node)?;
        self.expression(&node.expression).map_err(|fault| fault.or_at(node.at))
    }

    fn values(&mut self, nodes: &[Node]) -> Result<Vec<Value>, Fault> {
        nodes.iter().map(|node| self.value(node)).collect()
    }

    fn expression(&mut self, expression: &Expression) -> Result<Value, Fault> {
        match expression {
            Expression::Literal(value) => Ok(value.clone()),
            Expression::Name(name) => self.named(name),
            Expression::Format(parts) => {
                let mut text = String::new();
                for part in parts {
                    text.push_str(&self.value(part)?.str());
                    check_weight(text.len())?;
                }
                self.made(Value::text(&text))
            }
            Expression::List(nodes) => {
                let items = self.values(nodes)?;
                self.made(Value::list(items)?)
            }
            Expression::Tuple(nodes) => {
                let items = self.values(nodes)?;
                self.made(Value::tuple(items)?)
            }
            Expression::Dict(nodes) => {
                let pairs = nodes.iter().map(|(key, value)| Ok((self.value(key)?, self.value(value)?)));
                let pairs = pairs.collect::<Result<_, Fault>>()?;
                self.made(Value::dict(pairs)?)
            }
            Expression::Comprehension(all) => self.comprehension(all),
            Expression::Call { function, positional, named } => {
                let function = self.value(function)?;
                let positional = self.values(positional)?;
                let named = named.iter().map(|(name, node)| Ok((name.clone(), self.value(node)?)));
                let named: Vec<(String, Value)> = named.collect::<Result<_, Fault>>()?;
                let given = positional.iter().chain(named.iter().map(|(_, value)| value)).chain([&function]);
                self.work(given.map(Value::weight).fold(0, usize::saturating_add))?;
                let value = self.call(&function, Arguments { positional, named })?;
                self.made(value)
            }
            Expression::Attribute(node, name) => {
                let value = self.value(node)?;
                if matches!(value, Value::Module(PRODUCT)) {
                    let release = self.catalogue.release_by(&self.master, &format!("{PRODUCT}.{name}"));
                    return release
                        .map(|url| Value::text(&url))
                        .map_err(|error| Fault::new(format!("{error:#}")));
                }
                let methods = builtins::methods(&value);
                match methods.iter().find(|method| *method == name) {
                    Some(method) => Ok(Value::Method(Rc::new((value, method)))),
                    None => Err(Fault::new(format!(
                        "a {} has no {name}{}",
                        value.type_name(),
                        nearest(name, methods.iter().copied())
                    ))),
                }
            }
            Expression::Index(node, index) => {
                let (value, index) = (self.value(node)?, self.value(index)?);
                self.work(value.weight())?;
                item(&value, &index)
            }
            Expression::Not(node) => Ok(Value::Bool(!self.value(node)?.is_true())),
            Expression::Negative(node) => match self.value(node)? {
                #[expect(clippy::float_arithmetic, reason = "a sign before a parameter")]
                Value::Float(number) => Ok(Value::Float(marshal::Float(-number.0))),
                value => {
                    let negative = value.as_int().and_then(i64::checked_neg).map(Value::Int);
                    negative.ok_or_else(|| Fault::new(format!("- does not go with a {}", value.type_name())))
                }
            },
            Expression::And(left, right) => {
                let left = self.value(left)?;
                if left.is_true() { self.value(right) } else { Ok(left) }
            }
            Expression::Or(left, right) => {
                let left = self.value(left)?;
                if left.is_true() { Ok(left) } else { self.value(right) }
            }
            Expression::Conditional { test, yes, no } => {
                if self.value(test)?.is_true() {
                    self.value(yes)
                } else {
                    self.value(no)
                }
            }
            Expression::Binary(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.work(left.weight().saturating_add(right.weight()))?;
                let value = binary(*operator, &left, &right)?;
                self.made(value)
            }
        }
    }

    fn named(&self, name: &str) -> Result<Value, Fault> {
        self.names.get(name).cloned().ok_or_else(|| {
            let hint = nearest(name, self.names.keys().map(String::as_str));
            Fault::new(format!("there is no name {name}{hint}"))
        })
    }

    /// Its own names are gone when it is over.
    fn comprehension(&mut self, all: &Comprehension) -> Result<Value, Fault> {
        let source = self.value(&all.source)?;
        self.work(source.weight())?;
        let items = source.items()?;
        let names = match &all.target {
            Target::One(name) => std::slice::from_ref(name),
            Target::Several(names) => names,
        };
        let before: Vec<_> = names.iter().map(|name| (name.clone(), self.names.get(name).cloned())).collect();
        let made = self.gathered(all, items);
        for (name, value) in before {
            match value {
                Some(value) => self.names.insert(name, value),
                None => self.names.remove(&name),
            };
        }
        self.made(Value::list(made?)?)
    }

    fn gathered(&mut self, all: &Comprehension, items: Vec<Value>) -> Result<Vec<Value>, Fault> {
        let mut made = Vec::new();
        for item in items {
            self.assign(&all.target, item)?;
            let is_wanted = match &all.condition {
                Some(condition) => self.value(condition)?.is_true(),
                None => true,
            };
            if is_wanted {
                made.push(self.value(&all.item)?);
            }
        }
        Ok(made)
    }

    fn call(&mut self, function: &Value, arguments: Arguments) -> Result<Value, Fault> {
        match function {
            Value::Method(method) => builtins::call_method(&method.0, method.1, arguments),
            Value::Function(function) => self.call_function(*function, arguments),
            other => Err(Fault::new(format!("a {} cannot be called", other.type_name()))),
        }
    }

    fn call_function(&mut self, function: Function, arguments: Arguments) -> Result<Value, Fault> {
        let name = function.name();
        match function {
            Function::Request => return self.request(arguments),
            Function::Supply => {
                let names = ["software_release", "computer_guid", "state"];
                let [release, computer, state] = arguments.bind(name, names, 2)?;
                let release = self.release(name, release)?;
                let computer = text(name, names[1], computer)?.unwrap_or_default();
                let state = text(name, names[2], state)?;
                self.master.supply(&release, &computer, state.as_deref().unwrap_or("available"))?;
            }
            Function::Print => {
                if let Some((name, _)) = arguments.named.first() {
                    return Err(Fault::new(format!("print() has no argument {name}")));
                }
                let texts: Vec<_> = arguments.positional.iter().map(Value::str).collect();
                self.print(&texts.join(" "));
            }
            Function::Help => {
                let [] = arguments.required(name, [])?;
                self.print(HELP);
            }
            Function::Dir => {
                let [value] = arguments.bind(name, ["value"], 0)?;
                let names: Vec<_> = match &value {
                    Some(value) => builtins::methods(value).iter().map(|name| Value::text(name)).collect(),
                    None => self.names.keys().map(|name| Value::text(name)).collect(),
                };
                return Value::list(names);
            }
            Function::Range => {
                let [start, stop] = arguments.bind(name, ["start", "stop"], 1)?.map(|value| {
                    let number = |value: Value| {
                        value.as_int().ok_or_else(|| Fault::new("range() takes whole numbers"))
                    };
                    value.map(number).transpose()
                });
                let (start, stop) = match (start?, stop?) {
                    (Some(start), Some(stop)) => (start, stop),
                    (stop, _) => (0, stop.unwrap_or(0)),
                };
                if stop.saturating_sub(start) > MAX_RANGE {
                    return Err(Fault::new(format!("range() makes {MAX_RANGE} numbers at most")));
                }
                return Value::list((start..stop).map(Value::Int).collect());
            }
            Function::Int
            | Function::Len
            | Function::Repr
            | Function::Sorted
            | Function::Str
            | Function::Type => {
                let [value] = arguments.required(name, ["value"])?;
                return of_value(function, &value);
            }
        }
        Ok(Value::None)
    }

    fn request(&self, arguments: Arguments) -> Result<Value, Fault> {
        const NAME: &str = "request";
        let names = [
            "software_release",
            "partition_reference",
            "partition_parameter_kw",
            "software_type",
            "filter_kw",
            "state",
            "shared",
        ];
        let [release, reference, parameters, software_type, filter, state, shared] =
            arguments.bind(NAME, names, 2)?;
        let dict = |name: &str, value: Option<Value>| match value {
            None | Some(Value::None) => Ok(marshal::Value::Dict(Vec::new())),
            Some(value @ Value::Dict(_)) => value.to_wire(),
            Some(other) => {
                Err(Fault::new(format!("request(): {name} must be a dict, not a {}", other.type_name())))
            }
        };
        let wanted = Wanted {
            release: self.release(NAME, release)?,
            reference: text(NAME, names[1], reference)?.unwrap_or_default(),
            parameters: dict(names[2], parameters)?,
            software_type: text(NAME, names[3], software_type)?,
            filter: dict(names[4], filter)?,
            state: text(NAME, names[5], state)?,
            is_shared: shared.is_some_and(|shared| shared.is_true()),
        };
        Ok(Value::Instance(Rc::new(Instance::request(&self.master, wanted)?)))
    }

    fn release(&self, function: &str, given: Option<Value>) -> Result<String, Fault> {
        let given = text(function, "software_release", given)?.unwrap_or_default();
        let release = self.catalogue.release_by(&self.master, &given);
        release.map_err(|error| Fault::new(format!("{error:#}")))
    }
}

/// A text, or nothing.
fn text(function: &str, name: &str, value: Option<Value>) -> Result<Option<String>, Fault> {
    match value {
        None | Some(Value::None) => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.to_string())),
        Some(other) => {
            Err(Fault::new(format!("{function}(): {name} must be a text, not a {}", other.type_name())))
        }
    }
}

fn of_value(function: Function, value: &Value) -> Result<Value, Fault> {
    Ok(match function {
        Function::Len => Value::Int(i64::try_from(value.items()?.len()).unwrap_or(i64::MAX)),
        Function::Repr => Value::text(&value.repr()),
        Function::Str => Value::text(&value.str()),
        Function::Type => Value::text(value.type_name()),
        Function::Sorted => {
            let mut items = value.items()?;
            let mut wrong = None;
            items.sort_by(|a, b| {
                order(a, b).unwrap_or_else(|fault| {
                    wrong.get_or_insert(fault);
                    std::cmp::Ordering::Equal
                })
            });
            return wrong.map_or_else(|| Value::list(items), Err);
        }
        _ => {
            let number = value.as_int().or_else(|| value.as_str()?.trim().parse().ok());
            Value::Int(
                number.ok_or_else(|| Fault::new(format!("int(): {} is no whole number", value.repr())))?,
            )
        }
    })
}

fn order(left: &Value, right: &Value) -> Result<std::cmp::Ordering, Fault> {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) => Ok(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => Ok(a.0.total_cmp(&b.0)),
        (a, b) => match (a.as_int(), b.as_int()) {
            (Some(a), Some(b)) => Ok(a.cmp(&b)),
            _ => Err(Fault::new(format!("a {} and a {} have no order", a.type_name(), b.type_name()))),
        },
    }
}

fn binary(operator: Operator, left: &Value, right: &Value) -> Result<Value, Fault> {
    use Operator as O;
    let wrong = || {
        let (sign, a, b) = (operator.sign(), left.type_name(), right.type_name());
        Fault::new(format!("{sign} does not go with a {a} and a {b}"))
    };
    let number = |compute: fn(i64, i64) -> Option<i64>| {
        let (left, right) = (left.as_int().ok_or_else(wrong)?, right.as_int().ok_or_else(wrong)?);
        let value = compute(left, right);
        value
            .map(Value::Int)
            .ok_or_else(|| Fault::new(format!("{left} {} {right} is no number of 64 bits", operator.sign())))
    };
    match operator {
        O::Equal => Ok(Value::Bool(left.equals(right))),
        O::Unequal => Ok(Value::Bool(!left.equals(right))),
        O::Less => Ok(Value::Bool(order(left, right)?.is_lt())),
        O::LessOrEqual => Ok(Value::Bool(order(left, right)?.is_le())),
        O::Greater => Ok(Value::Bool(order(left, right)?.is_gt())),
        O::GreaterOrEqual => Ok(Value::Bool(order(left, right)?.is_ge())),
        O::In | O::NotIn => {
            let is_in = match (left, right) {
                (Value::Text(part), Value::Text(whole)) => whole.contains(&**part),
                (item, all) => all.items()?.iter().any(|known| known.equals(item)),
            };
            Ok(Value::Bool(is_in == (operator == O::In)))
        }
        O::Add => match (left, right) {
            (Value::Text(a), Value::Text(b)) => {
                check_weight(a.len() + b.len())?;
                Ok(Value::text(&format!("{a}{b}")))
            }
            (Value::List(a), Value::List(b)) => Value::list([a.values.as_slice(), &b.values].concat()),
            (Value::Tuple(a), Value::Tuple(b)) => Value::tuple([a.values.as_slice(), &b.values].concat()),
            _ => number(i64::checked_add),
        },
        O::Subtract => number(i64::checked_sub),
        O::Multiply => match (left, right) {
            (Value::Text(text), Value::Int(times)) => {
                let times = usize::try_from(*times).unwrap_or(0);
                check_weight(text.len().saturating_mul(times).saturating_add(ITEM))?;
                Ok(Value::text(&text.repeat(times)))
            }
            _ => number(i64::checked_mul),
        },
        O::Modulo => number(|a, b| {
            a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }),
    }
}

fn item(value: &Value, index: &Value) -> Result<Value, Fault> {
    if let Value::Dict(pairs) = value {
        let found = pairs.entries.iter().find(|(key, _)| key.equals(index));
        return found
            .map(|(_, value)| value.clone())
            .ok_or_else(|| Fault::new(format!("there is no key {}", index.repr())));
    }
    let items = match value {
        Value::Instance(_) => {
            return Err(Fault::new("an instance has methods, not items; dir() of it names them"));
        }
        other => other.items()?,
    };
    let index = index.as_int().ok_or_else(|| Fault::new("an item is named by its number"))?;
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let place = usize::try_from(if index < 0 { index.saturating_add(length) } else { index });
    let found = place.ok().and_then(|place| items.get(place).cloned());
    found.ok_or_else(|| Fault::new(format!("there is no item {index}; there are {length}")))
}

/// A short name as a name of the language.
fn variable(name: &str) -> String {
    name.replace(['-', '.', ' '], "_")
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_alphabetic())
        && chars.all(|c| c == '_' || c.is_alphanumeric())
        && !parser::KEYWORDS.contains(&name)
}

/// A known name that somebody may have meant.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let distance = |known: &'a str| (distance(name, known), known);
    match known.map(distance).min() {
        Some((distance, known)) if distance <= (name.chars().count() / 4).max(1) => {
            format!("; did you mean {known}?")
        }
        _ => String::new(),
    }
}

/// How many letters to put, take or change (Levenshtein); case does not count.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<_> = b.chars().flat_map(char::to_lowercase).take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().flat_map(char::to_lowercase).take(64).enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = changed.min(before + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
