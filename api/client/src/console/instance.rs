//! An instance, as the console has it: what was requested, and what the master says of it now.
//!
//! Every question is asked anew, so that what a node has published meanwhile is there.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::fault::ConsoleFault;
use super::value::{Arguments, Callable, ConsoleValue};
use crate::master::{Master, MasterError, Placed, Wanted};
use crate::service;
use slapledger_slap_wire::marshal;

/// The methods, by name.
pub(super) const METHODS: [&str; 13] = [
    "bang",
    "getComputerId",
    "getConnectionParameter",
    "getConnectionParameterDict",
    "getId",
    "getInstanceGuid",
    "getInstanceParameter",
    "getInstanceParameterDict",
    "getParameter",
    "getSoftwareRelease",
    "getState",
    "getStatus",
    "rename",
];

/// What a node publishes, in words.
const CONNECTION: &str = "connection parameter";

/// What was requested, and where it is.
#[derive(Debug)]
pub(super) struct ConsoleInstance {
    master: Rc<Master>,
    wanted: RefCell<Wanted>,
    placed: RefCell<Option<Placed>>,
}

impl Callable for ConsoleInstance {
    /// Calls a method; `name` is one of [`METHODS`].
    fn call(&self, name: &'static str, arguments: Arguments) -> Result<ConsoleValue, ConsoleFault> {
        match name {
            "getParameter" | "getConnectionParameter" => {
                let [key] = arguments.required(name, ["key"])?;
                self.parameter(&self.look()?.connection, CONNECTION, &key)
            }
            "getInstanceParameter" => {
                let [key] = arguments.required(name, ["key"])?;
                self.parameter(&self.look()?.parameters, "parameter", &key)
            }
            "rename" => {
                let [title] = arguments.required(name, ["new_name"])?;
                let title =
                    title.as_str().ok_or_else(|| ConsoleFault::new("rename(): new_name must be a text"))?;
                let placed = self.look()?;
                let shared = placed.guid.as_deref().filter(|_| self.wanted.borrow().is_shared);
                self.master.rename(&placed, title, shared)?;
                title.clone_into(&mut self.wanted.borrow_mut().reference);
                Ok(ConsoleValue::None)
            }
            "bang" => {
                let [message] = arguments.required(name, ["message"])?;
                self.master.bang(&self.look()?, &message.str())?;
                Ok(ConsoleValue::None)
            }
            _ => {
                let [] = arguments.required(name, [])?;
                self.fact(name)
            }
        }
    }
}

impl ConsoleInstance {
    /// Requests it. That it has no partition yet is no fault.
    pub(super) fn request(master: &Rc<Master>, wanted: Wanted) -> Result<Self, ConsoleFault> {
        let placed = match master.request(&wanted) {
            Ok(placed) => Some(placed),
            Err(error) if error.is_not_ready() => None,
            Err(error) => return Err(error.into()),
        };
        let (master, wanted, placed) = (Rc::clone(master), RefCell::new(wanted), RefCell::new(placed));
        Ok(Self { master, wanted, placed })
    }

    /// How it is now. What shares a partition, or has none yet, is asked for again: nothing else tells of it.
    fn look(&self) -> Result<Placed, ConsoleFault> {
        let wanted = self.wanted.borrow();
        let known = self.placed.borrow().clone().filter(|_| !wanted.is_shared);
        let found = match known {
            None => self.master.request(&wanted)?,
            Some(Placed { computer, partition, .. }) => {
                let found = self.master.partition(&computer, &partition)?;
                let found =
                    found.filter(|found| found.title.as_ref().is_none_or(|title| *title == wanted.reference));
                found.ok_or_else(|| {
                    ConsoleFault::new(format!(
                        "{} is not on {computer} {partition} any more",
                        wanted.reference
                    ))
                })?
            }
        };
        *self.placed.borrow_mut() = Some(found.clone());
        Ok(found)
    }

    fn parameter(
        &self,
        pairs: &[(String, marshal::Value)],
        kind: &str,
        key: &ConsoleValue,
    ) -> Result<ConsoleValue, ConsoleFault> {
        let name = key.as_str().ok_or_else(|| ConsoleFault::new("the name of a parameter is a text"))?;
        if let Some((_, value)) = pairs.iter().find(|(key, _)| key == name) {
            return ConsoleValue::of_wire(value);
        }
        let known: Vec<_> = pairs.iter().map(|(key, _)| key.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let reference = &self.wanted.borrow().reference;
        let text = format!("{reference} has no {kind} {name:?} yet; it has: {known}");
        // Waiting does not bring a parameter that the request did not name.
        Err(if kind == CONNECTION { MasterError::Unpublished(text).into() } else { ConsoleFault::new(text) })
    }

    fn fact(&self, name: &'static str) -> Result<ConsoleValue, ConsoleFault> {
        let placed = self.look()?;
        let dict = |pairs: Vec<(String, marshal::Value)>| ConsoleValue::of_wire(&marshal::Value::dict(pairs));
        match name {
            "getComputerId" => Ok(ConsoleValue::text(&placed.computer)),
            "getConnectionParameterDict" => dict(placed.connection),
            "getId" => Ok(ConsoleValue::text(&placed.partition)),
            "getInstanceGuid" => match placed.guid {
                Some(guid) => Ok(ConsoleValue::text(&guid)),
                None => Err(ConsoleFault::new(format!(
                    "the master has no guid for {}",
                    self.wanted.borrow().reference
                ))),
            },
            "getInstanceParameterDict" => dict(placed.parameters),
            "getSoftwareRelease" => Ok(ConsoleValue::text(&placed.release)),
            "getStatus" => self.status(&placed),
            "getState" => Ok(ConsoleValue::text(&placed.state)),
            other => Err(ConsoleFault::new(format!("an instance has no {other}"))),
        }
    }

    /// The state its node has reported.
    fn status(&self, placed: &Placed) -> Result<ConsoleValue, ConsoleFault> {
        let all = service::instances(self.master.server())
            .map_err(|error| ConsoleFault::new(format!("{error:#}")))?;
        let title = &self.wanted.borrow().reference;
        let mut there = all.iter().filter(|one| one.is_at(&placed.computer, &placed.partition));
        let reported = there.find(|one| one.title == *title).and_then(|one| one.reported.as_deref());
        Ok(reported.map_or(ConsoleValue::None, ConsoleValue::text))
    }
}

impl fmt::Display for ConsoleInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = &self.wanted.borrow().reference;
        match &*self.placed.borrow() {
            Some(placed) => {
                write!(f, "<{reference}: {} on {} {}>", placed.state, placed.computer, placed.partition)
            }
            None => write!(f, "<{reference}: not ready yet>"),
        }
    }
}
