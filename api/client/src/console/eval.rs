//! Carries out statements.

use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;

use super::builtins::{self, FUNCTIONS, text};
use super::fault::ConsoleFault;
use super::instance::ConsoleInstance;
use super::parser::{self, ConsoleStatement, Expression, SyntaxNode};
use super::value::{Arguments, Collection, ConsoleValue};
use crate::catalogue::CatalogueFile;
use crate::master::{Master, MasterError, Wanted};
use slapledger_slap_wire::marshal;

/// The longest text, in bytes.
pub(super) const MAX_TEXT: usize = 1024 * 1024;

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
besides                  dir() dir(value) help() print() json.dumps(value) json.loads(text)
the language             name = value; calls; attributes; texts, numbers, lists, tuples and dictionaries";

/// The names of a console and what they stand for.
pub(super) struct Console<'a> {
    names: BTreeMap<String, ConsoleValue>,
    master: Rc<Master>,
    catalogue: CatalogueFile,
    /// Why the products of the master are not known, if they are not.
    without_products: Option<MasterError>,
    out: Box<dyn Write + 'a>,
}

impl<'a> Console<'a> {
    /// A console of a master; the short names of the catalogue are names of it.
    pub(super) fn new(master: Master, catalogue: CatalogueFile, out: Box<dyn Write + 'a>) -> Self {
        let software = catalogue.names().map(|(name, release)| (variable(name), ConsoleValue::text(release)));
        let mut names: BTreeMap<_, _> = software.filter(|(name, _)| is_name(name)).collect();
        names.extend(FUNCTIONS.map(|name| (name.to_owned(), ConsoleValue::Function(name))));
        names.extend(["json", PRODUCT].map(|name| (name.to_owned(), ConsoleValue::Module(name))));
        Self { names, master: Rc::new(master), catalogue, without_products: None, out }
    }

    /// The products of the master could not be read.
    pub(super) fn without_products(&mut self, fault: Option<MasterError>) {
        self.without_products = fault;
    }

    /// Every name, and the methods of what it stands for.
    pub(super) fn names(&self) -> BTreeMap<String, &'static [&'static str]> {
        self.names.iter().map(|(name, value)| (name.clone(), builtins::methods(value))).collect()
    }

    /// Carries out a text. The values of its expressions are printed, as at the prompt of Python.
    pub(super) fn run(&mut self, text: &str) -> Result<(), ConsoleFault> {
        if text.len() > MAX_TEXT {
            return Err(ConsoleFault::new(format!("a text is longer than {} MiB", MAX_TEXT >> 20)));
        }
        for ConsoleStatement { target, value } in parser::parse(text)? {
            match (target, self.value(&value)?) {
                (Some(name), value) => drop(self.names.insert(name, value)),
                (None, ConsoleValue::None) => {}
                (None, value) => self.print(&value.repr()),
            }
        }
        Ok(())
    }

    /// Anyone who reads may have seen enough: that stops nothing.
    fn print(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
        let _ = self.out.flush();
    }

    fn value(&mut self, node: &SyntaxNode) -> Result<ConsoleValue, ConsoleFault> {
        self.expression(node).map_err(|fault| fault.or_at(node.at))
    }

    fn expression(&mut self, node: &SyntaxNode) -> Result<ConsoleValue, ConsoleFault> {
        match &node.kind {
            Expression::Literal(value) => Ok(value.clone()),
            Expression::Name(name) => self.named(name),
            Expression::Many(shape, parts) => ConsoleValue::many(
                *shape,
                parts.iter().map(|part| self.value(part)).collect::<Result<_, _>>()?,
            ),
            Expression::Attribute(owner, name) => {
                let owner = self.value(owner)?;
                self.attribute(owner, name)
            }
            Expression::Call(function, given) => {
                let function = self.value(function)?;
                let mut arguments = Arguments::default();
                for (name, part) in given {
                    let value = self.value(part)?;
                    match name {
                        Some(name) => arguments.named.push((name.clone(), value)),
                        None => arguments.positional.push(value),
                    }
                }
                self.call(&function, arguments)
            }
        }
    }

    fn named(&self, name: &str) -> Result<ConsoleValue, ConsoleFault> {
        self.names.get(name).cloned().ok_or_else(|| {
            if let Some(MasterError::TryAgain(text)) = &self.without_products {
                return MasterError::TryAgain(text.clone()).into();
            }
            let hint = nearest(name, self.names.keys().map(String::as_str));
            let unknown =
                self.without_products.as_ref().map(|fault| format!(" (products are not known: {fault})"));
            ConsoleFault::new(format!("there is no name {name}{hint}{}", unknown.unwrap_or_default()))
        })
    }

    fn attribute(&self, value: ConsoleValue, name: &str) -> Result<ConsoleValue, ConsoleFault> {
        if matches!(value, ConsoleValue::Module(PRODUCT)) {
            return self.release(&format!("{PRODUCT}.{name}")).map(|url| ConsoleValue::text(&url));
        }
        let methods = builtins::methods(&value);
        if let Some(method) = methods.iter().find(|method| **method == name) {
            return Ok(ConsoleValue::Method(Rc::new((value, method))));
        }
        let hint = nearest(name, methods.iter().copied());
        Err(ConsoleFault::new(format!("a {} has no {name}{hint}", value.type_name())))
    }

    fn call(&mut self, function: &ConsoleValue, arguments: Arguments) -> Result<ConsoleValue, ConsoleFault> {
        let name = match function {
            ConsoleValue::Function(name) => *name,
            ConsoleValue::Method(method) => return builtins::call_method(&method.0, method.1, arguments),
            other => return Err(ConsoleFault::new(format!("a {} cannot be called", other.type_name()))),
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
            "dir" => {
                let [value] = arguments.bind(name, ["value"], 0)?;
                return ConsoleValue::list(match &value {
                    Some(value) => {
                        builtins::methods(value).iter().map(|name| ConsoleValue::text(name)).collect()
                    }
                    None => self.names.keys().map(|name| ConsoleValue::text(name)).collect(),
                });
            }
            "print" => {
                if let Some((name, _)) = arguments.named.first() {
                    return Err(ConsoleFault::new(format!("print() has no argument {name}")));
                }
                let texts: Vec<_> = arguments.positional.iter().map(ConsoleValue::str).collect();
                self.print(&texts.join(" "));
            }
            _ => {
                let [] = arguments.required(name, [])?;
                self.print(HELP);
            }
        }
        Ok(ConsoleValue::None)
    }

    fn request(&self, arguments: Arguments) -> Result<ConsoleValue, ConsoleFault> {
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
        let dict = |name: &str, value: Option<ConsoleValue>| match value {
            None | Some(ConsoleValue::None) => Ok(marshal::Value::Dict(Vec::new())),
            Some(value @ ConsoleValue::Many(Collection::Dict, _)) => value.to_wire(),
            Some(other) => Err(ConsoleFault::new(format!(
                "request(): {name} must be a dict, not a {}",
                other.type_name()
            ))),
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
        Ok(ConsoleValue::Instance(Rc::new(ConsoleInstance::request(&self.master, wanted)?)))
    }

    /// The address of software that is given by short name, product or address.
    fn release(&self, given: &str) -> Result<String, ConsoleFault> {
        let release = self.catalogue.release_by(&self.master, given);
        release.map_err(|error| ConsoleFault::new(format!("{error:#}")))
    }
}

/// A short name as a name of the language.
fn variable(name: &str) -> String {
    name.replace(['-', '.', ' '], "_")
}

fn is_name(name: &str) -> bool {
    name.starts_with(parser::is_word_start)
        && name.chars().all(parser::is_word_part)
        && !parser::is_reserved(name)
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
