//! What a search finds and a traversal shows.
//!
//! Two steps, as everywhere: copied out of the views, then opened, so that nothing is decrypted while they are held.

use serde_json::{Map, Value, json};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{InstanceId, PartyId};
use slapledger_core::keyring::KeyRing;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::{open, open_parameters};
use slapledger_projections::SlapViews;
use slapledger_projections::instances::InstanceView;
use slapledger_projections::inventory::{InventoryComputer, Supply};
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::status;

use super::address;
use super::query::{Search, SearchKind};

/// A thing as the views have it.
pub(super) struct FoundDocument {
    kind: SearchKind,
    title: String,
    reference: String,
    relative_url: String,
    content: DocumentContent,
}

enum DocumentContent {
    Instance { instance: Box<InstanceView>, tree: String, members: Vec<InstanceView> },
    Computer { occupants: Vec<(String, InstanceView)> },
    Installation { computer: String, supply: Supply },
}

/// What a search can be asked to give of each thing.
const NAMES: [&str; 10] = [
    "title",
    "reference",
    "relative_url",
    "url_string",
    "uid",
    "portal_type",
    "text_content",
    "getConnectionXmlAsDict",
    "SoftwareInstance_getNewsDict",
    "SoftwareInstallation_getNewsDict",
];
/// And what it gives if nobody asks for anything.
const USUAL: [&str; 4] = ["title", "reference", "relative_url", "url_string"];

/// The names in a `select_list`.
pub(super) fn selected(told: &[String]) -> Result<Vec<&'static str>, Problem> {
    let names = told.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let known = |name: &str| {
        let rule = || format!("must not have {name}; there are {}", NAMES.join(", "));
        NAMES.into_iter().find(|known| *known == name).ok_or_else(|| Problem::field("select_list", rule()))
    };
    let names = names.map(known).collect::<Result<Vec<_>, _>>()?;
    Ok(if names.is_empty() { USUAL.to_vec() } else { names })
}

/// All that is searched for, at most `limit` of it.
pub(super) fn search(
    ctx: &RequestContext,
    user: PartyId,
    view: &SlapViews,
    (search, limit): (&Search, usize),
) -> Vec<FoundDocument> {
    let mine = || {
        let living = view.instances.of_owner(user).filter(|instance| instance.lives());
        living.filter(|instance| ctx.caller.opens_instance(instance))
    };
    let computers = || view.inventory.iter().filter(|computer| ctx.caller.sees_computer(computer));
    let all = search.kinds.iter().flat_map(|kind| -> Box<dyn Iterator<Item = FoundDocument> + '_> {
        match kind {
            SearchKind::Tree => Box::new(mine().filter_map(|one| FoundDocument::tree(ctx.mode(), view, one))),
            SearchKind::Instance => {
                Box::new(mine().filter(|one| !one.shared).map(|one| FoundDocument::instance(view, one)))
            }
            SearchKind::Shared => {
                Box::new(mine().filter(|one| one.shared).map(|one| FoundDocument::instance(view, one)))
            }
            SearchKind::Computer => {
                Box::new(computers().map(|computer| FoundDocument::computer(view, computer)))
            }
            SearchKind::Installation => Box::new(computers().flat_map(FoundDocument::installations)),
        }
    });
    all.filter(|found| found.matches(search)).take(limit).collect()
}

/// The thing at an address that a search gave.
pub(super) fn find(
    ctx: &RequestContext,
    user: PartyId,
    view: &SlapViews,
    relative_url: &str,
) -> Option<FoundDocument> {
    let parts = address::read(relative_url)?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let instance = |id: &str| {
        let id: InstanceId = id.parse().ok()?;
        let mine = view.instances.get(id).filter(|one| one.lives() && one.owner == user);
        mine.filter(|one| ctx.caller.opens_instance(one))
    };
    let computer =
        |id: &str| view.inventory.computer(id).filter(|computer| ctx.caller.sees_computer(computer));
    match parts.as_slice() {
        ["instance_tree_module", id] => FoundDocument::tree(ctx.mode(), view, instance(id)?),
        ["software_instance_module", id] => Some(FoundDocument::instance(view, instance(id)?)),
        ["compute_node_module", id] => Some(FoundDocument::computer(view, computer(id)?)),
        ["software_installation_module", id, release] => {
            let mut installations = FoundDocument::installations(computer(id)?);
            installations.find(|found| found.title == *release)
        }
        _ => None,
    }
}

impl FoundDocument {
    fn tree(mode: Mode, view: &SlapViews, root: &InstanceView) -> Option<Self> {
        if root.root != root.id {
            return None;
        }
        let members = view.instances.tree(root.id).filter(|_| mode != Mode::Proxy).cloned();
        let title = root.reference.to_string();
        Some(Self {
            kind: SearchKind::Tree,
            reference: if mode == Mode::Proxy { title.clone() } else { root.id.to_string() },
            relative_url: address::write(&["instance_tree_module", &root.id.to_string()]),
            content: DocumentContent::Instance {
                instance: Box::new(root.clone()),
                tree: title.clone(),
                members: members.collect(),
            },
            title,
        })
    }

    fn instance(view: &SlapViews, instance: &InstanceView) -> Self {
        let root = view.instances.get(instance.root).unwrap_or(instance);
        Self {
            kind: if instance.shared { SearchKind::Shared } else { SearchKind::Instance },
            title: instance.reference.to_string(),
            reference: instance.id.to_string(),
            relative_url: address::write(&["software_instance_module", &instance.id.to_string()]),
            content: DocumentContent::Instance {
                instance: Box::new(instance.clone()),
                tree: root.reference.to_string(),
                members: vec![instance.clone()],
            },
        }
    }

    fn computer(view: &SlapViews, computer: &InventoryComputer) -> Self {
        let reference = computer.id.to_string();
        let occupants = view.instances.on_computer(&reference);
        let occupants = occupants.map(|(partition, one)| (partition.to_string(), one.clone())).collect();
        Self {
            kind: SearchKind::Computer,
            title: computer.title.as_deref().unwrap_or(&reference).to_owned(),
            relative_url: address::write(&["compute_node_module", &reference]),
            reference,
            content: DocumentContent::Computer { occupants },
        }
    }

    fn installations(computer: &InventoryComputer) -> impl Iterator<Item = Self> {
        computer.supplies().iter().map(|(release, supply)| {
            let (computer, release) = (computer.id.to_string(), release.to_string());
            let relative_url = address::write(&["software_installation_module", &computer, &release]);
            let (reference, supply) = (format!("{computer} {release}"), supply.clone());
            let content = DocumentContent::Installation { computer, supply };
            Self { kind: SearchKind::Installation, title: release, reference, relative_url, content }
        })
    }

    fn matches(&self, search: &Search) -> bool {
        let (tree, computer) = match &self.content {
            DocumentContent::Instance { instance, tree, .. } => {
                (Some(tree.as_str()), instance.allocation.as_ref().map(|place| place.computer.as_str()))
            }
            DocumentContent::Computer { .. } => (None, Some(self.reference.as_str())),
            DocumentContent::Installation { computer, .. } => (None, Some(computer.as_str())),
        };
        let same = |wanted: &Option<String>, told: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| told == Some(wanted))
        };
        search.title.as_ref().is_none_or(|wanted| wanted.is(&self.title))
            && same(&search.reference, Some(&self.reference))
            && search.tree.as_ref().is_none_or(|wanted| tree.is_some_and(|tree| wanted.is(tree)))
            && same(&search.computer, computer)
    }

    fn url_string(&self) -> Option<String> {
        match &self.content {
            DocumentContent::Instance { instance, .. } => Some(instance.release.to_string()),
            DocumentContent::Computer { .. } => None,
            DocumentContent::Installation { .. } => Some(self.title.clone()),
        }
    }

    /// What was asked for of it.
    pub(super) fn row(&self, keys: &KeyRing, names: &[&'static str]) -> Value {
        let instance = match &self.content {
            DocumentContent::Instance { instance, .. } => Some(instance),
            DocumentContent::Computer { .. } | DocumentContent::Installation { .. } => None,
        };
        let value = |name: &str| match name {
            "title" => json!(self.title),
            "reference" => json!(self.reference),
            "relative_url" | "uid" => json!(self.relative_url),
            "url_string" => json!(self.url_string()),
            "portal_type" => json!(self.kind.portal_type()),
            "text_content" => json!(instance.and_then(|one| open(keys, &one.parameters))),
            "getConnectionXmlAsDict" => {
                let connection = instance.and_then(|one| one.connection.as_ref());
                json!(connection.map(|sealed| open_parameters(keys, sealed)).unwrap_or_default())
            }
            "SoftwareInstance_getNewsDict" => json!(instance.map(|one| news(&status::text(keys, one)))),
            "SoftwareInstallation_getNewsDict" => match &self.content {
                DocumentContent::Installation { supply, .. } => {
                    news(&status::of_software(keys, &self.title, supply))
                }
                DocumentContent::Instance { .. } | DocumentContent::Computer { .. } => Value::Null,
            },
            _ => Value::Null,
        };
        names.iter().map(|name| ((*name).to_owned(), value(name))).collect::<Map<_, _>>().into()
    }

    /// Its form. `computer` is what is to be said of the state of a computer.
    pub(super) fn form(&self, ctx: &RequestContext, computer: Option<String>) -> Value {
        let keys = ctx.keys();
        let mut form = HateoasForm::new(match self.kind {
            SearchKind::Tree => "InstanceTree_viewAsHateoas",
            SearchKind::Instance | SearchKind::Shared => "SoftwareInstance_viewAsHateoas",
            SearchKind::Computer => "ComputeNode_viewAsHateoas",
            SearchKind::Installation => "SoftwareInstallation_viewAsHateoas",
        });
        form.text("title", json!(self.title));
        form.text("reference", json!(self.reference));
        let proxy = ctx.mode() == Mode::Proxy;
        match &self.content {
            DocumentContent::Instance { instance, members, .. } => {
                // slapos proxy does not know the state of shared instances.
                let unused = proxy && instance.shared && self.kind == SearchKind::Tree;
                let state = if unused { "unused" } else { instance.requested.as_str() };
                form.text("slap_state", json!(state));
                form.text("text_content", json!(open(keys, &instance.parameters)));
                form.text("connection_parameter_list", connection(keys, ctx.mode(), instance));
                form.text("url_string", json!(self.url_string()));
                form.text("source_reference", json!(instance.software_type.as_str()));
                form.field("root_slave", "IntegerField", json!(u8::from(instance.shared)));
                if !proxy {
                    let all = members.iter().map(|one| news(&status::text(keys, one)));
                    form.text("news", json!({"instance": all.collect::<Vec<_>>()}));
                }
            }
            DocumentContent::Computer { occupants } => {
                let partitions = occupants.iter();
                // Who is on a computer is its provider's to know, and not what they say.
                let text = |one: &InstanceView| news(&status::text(ctx.keys_for(one), one));
                let partitions = partitions.map(|(name, one)| (name.clone(), text(one)));
                let partitions: Map<_, _> = partitions.collect();
                let text = computer.unwrap_or_default();
                form.text("news", json!({"computer": news(&text), "partition": partitions}));
            }
            DocumentContent::Installation { computer, supply } => {
                form.text("url_string", json!(self.title));
                form.text("slap_state", json!(slapledger_usecases::software::supply_state(supply.requested)));
                form.text("aggregate_reference", json!(computer));
                form.text("news", news(&status::of_software(keys, &self.title, supply)));
            }
        }
        form.document(self.kind.portal_type())
    }

    /// The computer it is, if it is one.
    pub(super) fn as_computer(&self) -> Option<&str> {
        (self.kind == SearchKind::Computer).then_some(self.reference.as_str())
    }
}

/// How an instance is reached: at slapos proxy as it is stored, at a master as a list.
fn connection(keys: &KeyRing, mode: Mode, instance: &InstanceView) -> Value {
    if mode == Mode::Proxy {
        return json!(instance.connection.as_ref().and_then(|sealed| open(keys, sealed)));
    }
    let all = instance.connection.as_ref().map(|sealed| open_parameters(keys, sealed)).unwrap_or_default();
    let pairs = all.into_iter().map(|(key, value)| json!({"connection_key": key, "connection_value": value}));
    pairs.collect::<Vec<_>>().into()
}

fn news(text: &str) -> Value {
    json!({"text": text})
}

/// A form, as the client reads one.
pub(super) struct HateoasForm(Map<String, Value>);

impl HateoasForm {
    pub(super) fn new(id: &str) -> Self {
        let id = json!({"type": "StringField", "key": "form_id", "default": id});
        Self(Map::from_iter([("form_id".to_owned(), id)]))
    }

    pub(super) fn text(&mut self, name: &str, value: impl Into<Value>) {
        self.field(name, "StringField", value);
    }

    fn field(&mut self, name: &str, kind: &str, value: impl Into<Value>) {
        let value: Value = value.into();
        let field = json!({"type": kind, "key": format!("field_my_{name}"), "default": value});
        self.0.insert(format!("my_{name}"), field);
    }

    pub(super) fn document(self, portal_type: &str) -> Value {
        json!({"_links": {"type": {"name": portal_type}}, "_embedded": {"_view": self.0}})
    }
}
