//! A SLAP client: what `slapos.slap` says to a master, and what it understands of the answers.
//!
//! Every call is one question and one answer, within a time; what is wrong comes back as one line.

use std::time::Duration;

use slapledger_slap_wire::marshal::{self, MarshalError, Object, Value};
use slapledger_slap_wire::{MAX_BYTES, instance_xml};

use super::later::{self, Later, NOT_READY_STATUS, TRY_AGAIN_STATUS};
use super::server::{self, Server, reason};

/// How long a master may take to answer, as for the clients of slapos.core.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of an answer that is no document is repeated, in characters.
const MOST_SHOWN: usize = 300;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// It exists, and has no partition yet.
    #[error("{0} is not ready: it has no partition yet")]
    NotReady(String),
    /// It has its place, and its node has not said that it is as wanted.
    #[error("{reference} is not ready: it is to be {wanted}, and its node has reported {reported}")]
    Pending {
        /// The instance.
        reference: String,
        /// In which state it is to be.
        wanted: String,
        /// In which state it is.
        reported: String,
    },
    /// It has its place, and its node has not published a connection parameter.
    #[error("{0}")]
    Unpublished(String),
    /// The master says why not.
    #[error("{0}")]
    Refused(String),
    /// It cannot do it at the moment.
    #[error("{0}")]
    TryAgain(String),
    /// Nobody answers there.
    #[error("the master at {url} cannot be reached: {reason}")]
    Unreachable {
        /// The master.
        url: String,
        /// What happened instead.
        reason: String,
        /// Whether somebody may answer in a moment.
        may_return: bool,
    },
    /// What came is no answer that this client reads.
    #[error("the answer of {path} cannot be read: {reason}")]
    Unreadable {
        /// What was asked.
        path: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// What was to be sent cannot be.
    #[error(transparent)]
    Unsendable(#[from] MarshalError),
}

impl MasterError {
    /// Whether it may do when asked again later.
    pub fn is_not_ready(&self) -> bool {
        matches!(self, Self::NotReady(_) | Self::Pending { .. } | Self::Unpublished(_))
    }

    /// With which status a command ends because of it.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::NotReady(_) | Self::Pending { .. } | Self::Unpublished(_) => NOT_READY_STATUS,
            Self::TryAgain(_) | Self::Unreachable { may_return: true, .. } => TRY_AGAIN_STATUS,
            Self::Refused(_) | Self::Unreachable { .. } | Self::Unreadable { .. } | Self::Unsendable(_) => 1,
        }
    }
}

/// What `request()` asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What is to run.
    pub release: String,
    /// Under which name.
    pub reference: String,
    /// As what.
    pub software_type: Option<String>,
    /// With which parameters: a `dict`.
    pub parameters: Value,
    /// Where it may be: a `dict`.
    pub filter: Value,
    /// In which state.
    pub state: Option<String>,
    /// Whether it shares the partition of another.
    pub is_shared: bool,
}

impl Wanted {
    /// Whether the instance is to be destroyed.
    pub fn is_destruction(&self) -> bool {
        self.state.as_deref() == Some("destroyed")
    }
}

/// An instance that has its place. A proxy that is to destroy what does not exist names neither computer nor partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its computer; of a shared instance that of its host.
    pub computer: String,
    /// Its partition there.
    pub partition: String,
    /// What the master calls it. slapos proxy has no such name for what shares a partition.
    pub guid: Option<String>,
    /// The state that is asked for.
    pub state: String,
    /// What runs.
    pub release: String,
    /// Its title, which a partition says and the answer to `request()` does not.
    pub title: Option<String>,
    /// The parameters that somebody gave.
    pub parameters: Vec<(String, Value)>,
    /// What it publishes.
    pub connection: Vec<(String, Value)>,
}

/// A master.
#[derive(Clone, Debug)]
pub struct Master {
    server: Server,
}

impl Master {
    /// The master at an address.
    pub fn new(server: Server) -> Self {
        Self { server }
    }

    /// What it says beyond SLAP.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// `request()`: makes or changes an instance, and says where it is.
    pub fn request(&self, wanted: &Wanted) -> Result<Placed, MasterError> {
        const PATH: &str = "requestComputerPartition";
        let state = wanted.state.as_deref().map_or(Value::None, Value::from);
        let form = [
            ("software_release", wanted.release.clone()),
            ("software_type", wanted.software_type.clone().unwrap_or_else(|| "default".to_owned())),
            ("partition_reference", wanted.reference.clone()),
            ("partition_parameter_xml", marshal::write(&wanted.parameters)?),
            ("filter_xml", marshal::write(&wanted.filter)?),
            ("state", marshal::write(&state)?),
            ("shared_xml", marshal::write(&Value::Bool(wanted.is_shared))?),
        ];
        let answer = self.post(PATH, &wanted.reference, None, &form)?;
        read(PATH, &answer, "SoftwareInstance", |told| {
            Some(Placed {
                computer: text(told.get("slap_computer_id")?)?,
                partition: text(told.get("slap_computer_partition_id")?)?,
                guid: told.get("_instance_guid").and_then(text),
                state: text(told.get("_requested_state")?)?,
                release: text(told.get("slap_software_release_url")?)?,
                title: None,
                parameters: given(told.get("_parameter_dict")?)?,
                connection: pairs(told.get("_connection_dict")?)?,
            })
        })
    }

    /// What is in a partition; nothing, if it is free.
    pub fn partition(&self, computer: &str, partition: &str) -> Result<Option<Placed>, MasterError> {
        const PATH: &str = "registerComputerPartition";
        let query = [("computer_reference", computer), ("computer_partition_reference", partition)];
        let answer = self.get(PATH, partition, &query)?;
        read(PATH, &answer, "ComputerPartition", |told| {
            let Some(release) = told.get("_software_release_document").and_then(Value::as_object) else {
                return Some(None);
            };
            Some(Some(Placed {
                computer: computer.to_owned(),
                partition: partition.to_owned(),
                guid: told.get("_instance_guid").and_then(text),
                state: text(told.get("_requested_state")?)?,
                release: text(release.get("_software_release")?)?,
                title: told.get("_parameter_dict")?.get("instance_title").and_then(text),
                parameters: given(told.get("_parameter_dict")?)?,
                connection: pairs(told.get("_connection_dict")?)?,
            }))
        })
    }

    /// `supply()`: software is to be on a computer (`available`), or gone from it (`destroyed`).
    pub fn supply(&self, release: &str, computer: &str, state: &str) -> Result<(), MasterError> {
        let form = [("url", release), ("computer_id", computer), ("state", state)];
        self.post("supplySupply", computer, None, &form.map(owned)).map(drop)
    }

    /// The releases of a software product, best first.
    pub fn product(&self, product: &str) -> Result<Vec<String>, MasterError> {
        const PATH: &str = "getSoftwareReleaseListFromSoftwareProduct";
        let answer = self.get(PATH, product, &[("software_product_reference", product)])?;
        let unreadable = |reason: String| MasterError::Unreadable { path: PATH, reason };
        let value = marshal::read_bytes(&answer).map_err(|error| unreadable(error.to_string()))?;
        let releases = value.as_items().and_then(|items| items.iter().map(text).collect());
        releases.ok_or_else(|| unreadable("it is no list of texts".to_owned()))
    }

    /// Registers a computer by its title; the same title again is the same computer. Its reference.
    pub fn register(&self, title: &str) -> Result<String, MasterError> {
        const PATH: &str = "requestComputer";
        let answer = self.post(PATH, title, None, &[("computer_title", title)].map(owned))?;
        read(PATH, &answer, "Computer", |told| text(told.get("_computer_id")?))
    }

    /// Has everything in the tree of an instance looked at again.
    pub fn bang(&self, placed: &Placed, message: &str) -> Result<(), MasterError> {
        let Placed { computer, partition, .. } = placed;
        let form =
            [("computer_id", computer.as_str()), ("computer_partition_id", partition), ("message", message)];
        self.post("softwareInstanceBang", partition, Some(placed), &form.map(owned)).map(drop)
    }

    /// Gives an instance another title.
    pub fn rename(&self, placed: &Placed, title: &str, shared: Option<&str>) -> Result<(), MasterError> {
        let Placed { computer, partition, .. } = placed;
        let mut form =
            [("computer_id", computer.as_str()), ("computer_partition_id", partition), ("new_name", title)]
                .map(owned)
                .to_vec();
        form.extend(shared.map(|reference| ("slave_reference", reference.to_owned())));
        self.post("softwareInstanceRename", partition, Some(placed), &form).map(drop)
    }

    /// What `slapos node format` says of a computer: a marshalled `dict`.
    pub fn configure(&self, computer: &str, configuration: &str) -> Result<(), MasterError> {
        let form = [("xml", configuration.to_owned())];
        self.post("loadComputerConfigurationFromXML", computer, None, &form).map(drop)
    }

    fn get(&self, path: &'static str, what: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, MasterError> {
        let request = self
            .server
            .agent()
            .get(format!("{}/{path}", self.server.url()))
            .config()
            .timeout_global(Some(PATIENCE));
        let request = request.build().query_pairs(query.iter().copied());
        self.answer(path, what, request.call())
    }

    /// Posts a form, for somebody or in the name of an instance.
    fn post(
        &self,
        path: &'static str,
        what: &str,
        claim: Option<&Placed>,
        form: &[(&str, String)],
    ) -> Result<Vec<u8>, MasterError> {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let request = self.server.agent().post(format!("{}/{path}", self.server.url()));
        let mut request = request.config().timeout_global(Some(PATIENCE)).build();
        if let Some(Placed { computer, partition, .. }) = claim {
            let claim = format!("X-SlapPartition computer_id={computer}, computer_partition_id={partition}");
            request = request.header("Authorization", claim);
        }
        let request = request.content_type("application/x-www-form-urlencoded");
        self.answer(path, what, request.send(body.finish()))
    }

    fn answer(
        &self,
        path: &'static str,
        what: &str,
        result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Vec<u8>, MasterError> {
        let unreachable = |error: ureq::Error| MasterError::Unreachable {
            url: self.server.url().to_owned(),
            reason: reason(&error, self.server.url()),
            may_return: later::may_return(&error),
        };
        let mut response = result.map_err(unreachable)?;
        let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
        let body = response.body_mut().with_config().limit(most).read_to_vec().map_err(unreachable)?;
        match response.status().as_u16() {
            200..=299 => Ok(body),
            408 => Err(MasterError::NotReady(what.to_owned())),
            status => {
                let hint = server::hint(status, self.server.by());
                let text = format!("{}{hint}", said(status, path, &body));
                // SLAP has statuses alone.
                match Later::of(status, "", &text) {
                    Some(_) => Err(MasterError::TryAgain(text)),
                    None => Err(MasterError::Refused(text)),
                }
            }
        }
    }
}

fn owned<'a>((name, value): (&'a str, &str)) -> (&'a str, String) {
    (name, value.to_owned())
}

/// What a master says of what it refuses: a line of text, or a problem in JSON.
fn said(status: u16, path: &str, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let problem: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let line = problem["detail"].as_str().or_else(|| text.lines().find(|line| !line.trim().is_empty()));
    match line.map(str::trim) {
        // A page for browsers says nothing.
        Some(line) if !line.starts_with('<') => line.chars().take(MOST_SHOWN).collect(),
        _ => format!("the master answered {path} with status {status}"),
    }
}

fn read<T>(
    path: &'static str,
    answer: &[u8],
    class: &str,
    parts: impl FnOnce(&Object) -> Option<T>,
) -> Result<T, MasterError> {
    let unreadable = |reason: String| MasterError::Unreadable { path, reason };
    let value = marshal::read_bytes(answer).map_err(|error| unreadable(error.to_string()))?;
    let object = value.as_object().filter(|object| object.class == class);
    let object = object.ok_or_else(|| unreadable(format!("it is no {class}")))?;
    parts(object).ok_or_else(|| unreadable(format!("a {class} lacks a member")))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn pairs(value: &Value) -> Option<Vec<(String, Value)>> {
    let pairs = value.as_dict()?.iter();
    pairs.map(|(key, value)| Some((text(key)?, value.clone()))).collect()
}

/// What a master puts among the parameters of an instance.
const ADDED: [&str; 12] = [
    "full_address_list",
    "full_ip_list",
    "instance_title",
    "ip_list",
    "root_instance_short_title",
    "root_instance_title",
    "slap_computer_id",
    "slap_computer_partition_id",
    "slap_software_release_url",
    "slap_software_type",
    "slave_instance_list",
    "timestamp",
];

/// The parameters that somebody gave.
fn given(value: &Value) -> Option<Vec<(String, Value)>> {
    let mut pairs = pairs(value)?;
    pairs.retain(|(key, _)| !ADDED.contains(&key.as_str()));
    Some(pairs)
}

/// A value for people and for JSON: a text is itself, an empty parameter (`None`) the empty text.
pub fn shown(value: &Value) -> String {
    match value {
        Value::None => String::new(),
        value => instance_xml::python_str(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_become_a_line() {
        let check = |body: &str, expected: &str| {
            assert_eq!(said(404, "supplySupply", body.as_bytes()), expected);
        };
        check("there is no computer COMP-9\n", "there is no computer COMP-9");
        check(r#"{"title":"Not found","detail":"there is no route /x"}"#, "there is no route /x");
        check("\n  first\nsecond", "first");
        check("", "the master answered supplySupply with status 404");
        check("<!doctype html>", "the master answered supplySupply with status 404");
        assert_eq!(said(400, "x", "y".repeat(999).as_bytes()).len(), MOST_SHOWN);
    }

    #[test]
    fn answers_that_cannot_be_read_are_errors() {
        let check = |answer: &str, expected: &str| {
            let error = read("p", answer.as_bytes(), "Computer", |told| text(told.get("a")?)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check("no document", "the answer of p cannot be read: ");
        check("<marshal><none/></marshal>", "it is no Computer");
        check(
            "<marshal><object id='i2' module='slapos.slap.slap' class='Computer'><tuple/>\
             <dictionary id='i3'/></object></marshal>",
            "a Computer lacks a member",
        );
    }

    #[test]
    fn nobody_answers() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = Master::new(Server::plain(&url)).supply("a", "b", "available").unwrap_err().to_string();
        assert!(error.starts_with(&format!("the master at {url} cannot be reached: ")), "{error}");
        assert!(!error.contains('\n'));
    }
}
