//! Carries out statements, within bounds of steps and memory.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;

use super::builtins::{self, Arguments, FUNCTIONS, text};
use super::fault::Fault;
use super::instance::Instance;
use super::parser::{self, Expression, Node, Statement, Target};
use super::value::{ITEM, Shape, Value, check_weight};
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
        names.extend(FUNCTIONS.map(|name| (name.to_owned(), Value::Function(name))));
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
            match statement {
                Statement::Expression(node) => match self.value(node)? {
                    Value::None => {}
                    value => self.print(&value.repr()),
                },
                statement => self.carry_out(statement)?,
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

    fn carry_out(&mut self, statement: &Statement) -> Result<(), Fault> {
        match statement {
            Statement::Expression(node) => self.value(node).map(drop),
            Statement::Assign(target, node) => {
                let value = self.value(node)?;
                self.assign(target, value).map_err(|fault| fault.or_at(node.at))
            }
            Statement::If(branches) => {
                for (test, block) in branches {
                    if self.holds(test.as_ref())? {
                        return self.block(block);
                    }
                }
                Ok(())
            }
            Statement::For(target, source, block) => {
                for item in self.items(source)? {
                    self.step(source)?;
                    self.assign(target, item).map_err(|fault| fault.or_at(source.at))?;
                    self.block(block)?;
                }
                Ok(())
            }
            Statement::Pass => Ok(()),
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

    /// The value of an expression; what it made is counted.
    fn value(&mut self, node: &Node) -> Result<Value, Fault> {
        self.step(node)?;
        self.expression(node).map_err(|fault| fault.or_at(node.at))
    }

    /// Whether a condition holds; none does.
    fn holds(&mut self, condition: Option<&Node>) -> Result<bool, Fault> {
        condition.map_or(Ok(true), |condition| Ok(self.value(condition)?.is_true()))
    }

    fn values(&mut self, nodes: &[Node]) -> Result<Vec<Value>, Fault> {
        nodes.iter().map(|node| self.value(node)).collect()
    }

    /// What an expression has, to be gone through.
    fn items(&mut self, node: &Node) -> Result<Vec<Value>, Fault> {
        let value = self.value(node)?;
        self.work(value.weight()).and_then(|()| value.items()).map_err(|fault| fault.or_at(node.at))
    }

    fn expression(&mut self, node: &Node) -> Result<Value, Fault> {
        let parts = &node.parts;
        let made = match &node.kind {
            Expression::Literal(value) => return Ok(value.clone()),
            Expression::Name(name) => return self.named(name),
            Expression::Binary(sign @ ("and" | "or")) => {
                let left = self.value(&parts[0])?;
                return if left.is_true() == (*sign == "and") { self.value(&parts[1]) } else { Ok(left) };
            }
            Expression::Conditional => {
                let is_true = self.value(&parts[1])?.is_true();
                return self.value(&parts[if is_true { 0 } else { 2 }]);
            }
            Expression::Not => return Ok(Value::Bool(!self.value(&parts[0])?.is_true())),
            Expression::Attribute(name) => {
                let value = self.value(&parts[0])?;
                return self.attribute(value, name);
            }
            Expression::Negative => return negative(&self.value(&parts[0])?),
            Expression::Index => {
                let (value, index) = (self.value(&parts[0])?, self.value(&parts[1])?);
                self.work(value.weight())?;
                return item(&value, &index);
            }
            Expression::Format => {
                let mut whole = String::new();
                for part in parts {
                    whole.push_str(&self.value(part)?.str());
                    check_weight(whole.len())?;
                }
                Value::text(&whole)
            }
            Expression::Many(shape) => Value::many(*shape, self.values(parts)?)?,
            Expression::Comprehension(target) => self.comprehension(target, parts)?,
            Expression::Call(names) => {
                let mut positional = self.values(parts)?;
                self.work(positional.iter().map(Value::weight).fold(0, usize::saturating_add))?;
                let function = positional.remove(0);
                let by_name = positional.split_off(positional.len() - names.len());
                let named_values = names.iter().cloned().zip(by_name).collect();
                self.call(&function, Arguments { positional, named: named_values })?
            }
            Expression::Binary(sign) => {
                let (left, right) = (self.value(&parts[0])?, self.value(&parts[1])?);
                self.work(left.weight().saturating_add(right.weight()))?;
                binary(sign, &left, &right)?
            }
        };
        check_weight(made.weight())?;
        self.work(made.weight())?;
        Ok(made)
    }

    fn named(&self, name: &str) -> Result<Value, Fault> {
        self.names.get(name).cloned().ok_or_else(|| {
            let hint = nearest(name, self.names.keys().map(String::as_str));
            Fault::new(format!("there is no name {name}{hint}"))
        })
    }

    fn attribute(&self, value: Value, name: &str) -> Result<Value, Fault> {
        if matches!(value, Value::Module(PRODUCT)) {
            return self.release(&format!("{PRODUCT}.{name}")).map(|url| Value::text(&url));
        }
        let methods = builtins::methods(&value);
        if let Some(method) = methods.iter().find(|method| **method == name) {
            return Ok(Value::Method(Rc::new((value, method))));
        }
        let hint = nearest(name, methods.iter().copied());
        Err(Fault::new(format!("a {} has no {name}{hint}", value.type_name())))
    }

    /// Its own names are gone when it is over.
    fn comprehension(&mut self, target: &Target, parts: &[Node]) -> Result<Value, Fault> {
        let items = self.items(&parts[1])?;
        let names = match target {
            Target::One(name) => std::slice::from_ref(name),
            Target::Several(names) => names,
        };
        let before: Vec<_> = names.iter().map(|name| (name.clone(), self.names.get(name).cloned())).collect();
        let mut made = Vec::new();
        let gathered = items.into_iter().try_for_each(|item| {
            self.assign(target, item)?;
            if self.holds(parts.get(2))? {
                made.push(self.value(&parts[0])?);
            }
            Ok(())
        });
        for (name, value) in before {
            match value {
                Some(value) => self.names.insert(name, value),
                None => self.names.remove(&name),
            };
        }
        gathered.and_then(|()| Value::list(made))
    }

    fn call(&mut self, function: &Value, arguments: Arguments) -> Result<Value, Fault> {
        let name = match function {
            Value::Function(name) => *name,
            Value::Method(method) => return builtins::call_method(&method.0, method.1, arguments),
            other => return Err(Fault::new(format!("a {} cannot be called", other.type_name()))),
        };
        match name {
            "request" => return self.request(arguments),
            "supply" => {
                let names = ["software_release", "computer_guid", "state"];
                let [release, computer, state] = arguments.bind(name, names, 2)?;
                let release = self.release(&text(name, names[0], release)?.unwrap_or_default())?;
                let computer = text(name, names[1], computer)?.unwrap_or_default();
                let state = text(name, names[2], state)?;
                self.master.supply(&release, &computer, state.as_deref().unwrap_or("available"))?;
            }
            "print" => {
                if let Some((name, _)) = arguments.named.first() {
                    return Err(Fault::new(format!("print() has no argument {name}")));
                }
                let texts: Vec<_> = arguments.positional.iter().map(Value::str).collect();
                self.print(&texts.join(" "));
            }
            "help" => {
                let [] = arguments.required(name, [])?;
                self.print(HELP);
            }
            "dir" => {
                let [value] = arguments.bind(name, ["value"], 0)?;
                return Value::list(match &value {
                    Some(value) => builtins::methods(value).iter().map(|name| Value::text(name)).collect(),
                    None => self.names.keys().map(|name| Value::text(name)).collect(),
                });
            }
            "range" => {
                let [first, second] = arguments.bind(name, ["start", "stop"], 1)?.map(|value| {
                    value.map(|value| value.as_int().ok_or_else(|| Fault::new("range() takes whole numbers")))
                });
                let first = first.unwrap_or(Ok(0))?;
                let (start, stop) = match second {
                    Some(stop) => (first, stop?),
                    None => (0, first),
                };
                if stop.saturating_sub(start) > MAX_RANGE {
                    return Err(Fault::new(format!("range() makes {MAX_RANGE} numbers at most")));
                }
                return Value::list((start..stop).map(Value::Int).collect());
            }
            _ => {
                let [value] = arguments.required(name, ["value"])?;
                return of_value(name, &value);
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
            Some(value @ Value::Many(Shape::Dict, _)) => value.to_wire(),
            Some(other) => {
                Err(Fault::new(format!("request(): {name} must be a dict, not a {}", other.type_name())))
            }
        };
        let wanted = Wanted {
            release: self.release(&text(NAME, names[0], release)?.unwrap_or_default())?,
            reference: text(NAME, names[1], reference)?.unwrap_or_default(),
            parameters: dict(names[2], parameters)?,
            software_type: text(NAME, names[3], software_type)?,
            filter: dict(names[4], filter)?,
            state: text(NAME, names[5], state)?,
            is_shared: shared.is_some_and(|shared| shared.is_true()),
        };
        Ok(Value::Instance(Rc::new(Instance::request(&self.master, wanted)?)))
    }

    /// The address of software that is given by short name, product or address.
    fn release(&self, given: &str) -> Result<String, Fault> {
        let release = self.catalogue.release_by(&self.master, given);
        release.map_err(|error| Fault::new(format!("{error:#}")))
    }
}

/// What a function makes of a value alone.
fn of_value(function: &str, value: &Value) -> Result<Value, Fault> {
    Ok(match function {
        "len" => Value::Int(i64::try_from(value.items()?.len()).unwrap_or(i64::MAX)),
        "repr" => Value::text(&value.repr()),
        "str" => Value::text(&value.str()),
        "type" => Value::text(value.type_name()),
        "sorted" => {
            let mut items = value.items()?;
            let mut wrong = Ok(());
            items.sort_by(|a, b| {
                order(a, b).unwrap_or_else(|fault| {
                    wrong = wrong.clone().and(Err(fault));
                    Ordering::Equal
                })
            });
            wrong.map_err(Fault::new)?;
            Value::list(items)?
        }
        _ => {
            let number = value.as_int().or_else(|| value.as_str()?.trim().parse().ok());
            let wrong = || Fault::new(format!("int(): {} is no whole number", value.repr()));
            Value::Int(number.ok_or_else(wrong)?)
        }
    })
}

/// The error says why there is none.
fn order(left: &Value, right: &Value) -> Result<Ordering, String> {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) => Ok(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => Ok(a.0.total_cmp(&b.0)),
        (a, b) => match (a.as_int(), b.as_int()) {
            (Some(a), Some(b)) => Ok(a.cmp(&b)),
            _ => Err(format!("a {} and a {} have no order", a.type_name(), b.type_name())),
        },
    }
}

fn negative(value: &Value) -> Result<Value, Fault> {
    match value {
        #[expect(clippy::float_arithmetic, reason = "a sign before a parameter")]
        Value::Float(number) => Ok(Value::Float(marshal::Float(-number.0))),
        value => {
            let negative = value.as_int().and_then(i64::checked_neg).map(Value::Int);
            negative.ok_or_else(|| Fault::new(format!("- does not go with a {}", value.type_name())))
        }
    }
}

fn binary(sign: &'static str, left: &Value, right: &Value) -> Result<Value, Fault> {
    let ordered = || order(left, right).map_err(Fault::new);
    Ok(match (sign, left, right) {
        ("==", ..) => Value::Bool(left.equals(right)),
        ("!=", ..) => Value::Bool(!left.equals(right)),
        ("<", ..) => Value::Bool(ordered()?.is_lt()),
        ("<=", ..) => Value::Bool(ordered()?.is_le()),
        (">", ..) => Value::Bool(ordered()?.is_gt()),
        (">=", ..) => Value::Bool(ordered()?.is_ge()),
        ("in" | "not in", ..) => {
            let is_in = match (left, right) {
                (Value::Text(part), Value::Text(whole)) => whole.contains(&**part),
                _ => right.items()?.iter().any(|known| known.equals(left)),
            };
            Value::Bool(is_in == (sign == "in"))
        }
        ("+", Value::Text(a), Value::Text(b)) => {
            check_weight(a.len() + b.len())?;
            Value::text(&format!("{a}{b}"))
        }
        ("+", Value::Many(shape, a), Value::Many(other, b)) if shape == other && *shape != Shape::Dict => {
            Value::many(*shape, [a.values.as_slice(), &b.values].concat())?
        }
        ("*", Value::Text(text), Value::Int(times)) => {
            let times = usize::try_from(*times).unwrap_or(0);
            check_weight(text.len().saturating_mul(times).saturating_add(ITEM))?;
            Value::text(&text.repeat(times))
        }
        _ => {
            let (Some(a), Some(b)) = (left.as_int(), right.as_int()) else {
                let (a, b) = (left.type_name(), right.type_name());
                return Err(Fault::new(format!("{sign} does not go with a {a} and a {b}")));
            };
            let number = match sign {
                "+" => a.checked_add(b),
                "-" => a.checked_sub(b),
                "*" => a.checked_mul(b),
                // As Python has it: with the sign of the divisor.
                _ => a
                    .checked_rem(b)
                    .map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }),
            };
            let wrong = || Fault::new(format!("{a} {sign} {b} is no number of 64 bits"));
            Value::Int(number.ok_or_else(wrong)?)
        }
    })
}

fn item(value: &Value, index: &Value) -> Result<Value, Fault> {
    let items = match value {
        Value::Many(Shape::Dict, items) => {
            let found = items.get(index).cloned();
            return found.ok_or_else(|| Fault::new(format!("there is no key {}", index.repr())));
        }
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
    match known.map(|known| (distance(name, known), known)).min() {
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
