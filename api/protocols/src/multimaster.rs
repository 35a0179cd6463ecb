//! Other masters, to which a proxy forwards requests for some software (`[multimaster/URL]` in slapos.cfg).
//!
//! As slapos proxy does it: a request goes to the master that its filter names (`master_url`), or to the one in whose
//! list its software release is; one that is allocated here stays here. It is sent as `slapos.slap` sends it, under a
//! title that begins with the partition it comes from (or `user`), so that requesters do not take each other's. Nothing
//! of it is kept here.
//!
//! Not here: which protocol a request came by, and the file that names the masters.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, StatusCode, header};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::instance::RequestedState;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;
use slapledger_slap_wire::marshal::{self, Object, Value};
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::read;
use slapledger_usecases::requesting::WantedInstance;

/// The key of a filter that names another master.
const MASTER: &str = "master_url";
/// The longest answer that is read.
const MOST_BYTES: u64 = 32 * 1024 * 1024;
/// The status of an origin that cannot be reached, as slapos.core knows it.
const UNREACHABLE: u16 = 523;

/// Another master.
#[derive(Clone)]
pub struct OtherMaster {
    /// Its address, as the file has it.
    pub url: String,
    /// The software that is requested there.
    pub software_releases: Vec<String>,
    /// The partition there that requests come from: computer and partition. From a user, if none is named.
    pub from: Option<(String, String)>,
    /// Asks it. A status is no error, and it follows nobody elsewhere.
    pub agent: ureq::Agent,
}

/// All other masters that are known.
#[derive(Clone, Default)]
pub struct OtherMasters(pub Vec<OtherMaster>);

/// A request to forward, besides what every protocol has of it.
pub(crate) struct ForwardedRequest<'a> {
    /// What is wanted.
    pub(crate) wanted: &'a WantedInstance,
    /// As what.
    pub(crate) software_type: &'a str,
    /// With which parameters, as they came.
    pub(crate) parameters: Value,
    /// The partition it comes from, if it comes from one.
    pub(crate) partition: Option<String>,
}

/// What another master answered.
pub(crate) enum ForwardedAnswer {
    /// The instance, as that master shows it.
    Allocated(Box<Object>),
    /// It has no partition yet.
    NotReady,
}

impl OtherMasters {
    /// The master that a request is for, if it is not for this one.
    pub(crate) async fn of(
        &self,
        ctx: &RequestContext,
        headers: &HeaderMap,
        wanted: &WantedInstance,
    ) -> Result<Option<&OtherMaster>, Problem> {
        if ctx.mode() != Mode::Proxy {
            return Ok(None);
        }
        let named = wanted.filter.iter().find(|(key, _)| &**key == MASTER).map(|(_, url)| &**url);
        let listed = self
            .0
            .iter()
            .find(|master| master.software_releases.iter().any(|release| release == wanted.release.as_str()));
        if named.is_none_or(str::is_empty) && listed.is_none() {
            return Ok(None);
        }
        let allocated = |view: &SlapViews, _| {
            let known = view.instances.find(wanted.requester, wanted.shared, wanted.reference.as_str());
            known.is_some_and(|known| known.allocation.is_some())
        };
        if read(ctx, Sequence::ZERO, allocated).await? {
            return Ok(None);
        }
        let Some(url) = named.filter(|url| !url.is_empty()) else { return Ok(listed) };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let told = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        if told.is_some_and(|told| told == host || told.strip_suffix(":80") == Some(host)) {
            return Ok(listed);
        }
        let known = self.0.iter().find(|master| master.url == url);
        // Only an address of this machine can be another name of this proxy.
        let agent = known.map(|master| &master.agent).cloned().or_else(|| is_loopback(url).then(agent));
        if let Some(agent) = agent
            && is_here(agent, url, ctx.engine.run).await
        {
            return Ok(listed);
        }
        known.map(Some).ok_or_else(|| {
            Problem::not_found(format!("External SlapOS Master URL {url} is not listed in multimaster list."))
        })
    }
}

/// Asks without a certificate, and with little patience.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
    config.timeout_global(Some(std::time::Duration::from_secs(5))).build().into()
}

fn is_loopback(url: &str) -> bool {
    let uri: Option<axum::http::Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Whether an address is that of this very proxy.
async fn is_here(agent: ureq::Agent, url: &str, run: [u8; 16]) -> bool {
    let url = format!("{}/getRunId", url.trim_end_matches('/'));
    let asked = tokio::task::spawn_blocking(move || {
        let mut answer = agent.get(&url).call().ok()?;
        answer.body_mut().with_config().limit(1024).read_to_string().ok()
    });
    let told = asked.await.ok().flatten();
    told.is_some_and(|told| told == uuid::Uuid::from_bytes(run).simple().to_string())
}

impl OtherMaster {
    /// Sends a request on.
    pub(crate) async fn forward(&self, request: ForwardedRequest<'_>) -> Result<ForwardedAnswer, Problem> {
        let Self { url, agent, from, .. } = self.clone();
        let form = self.form(request).map_err(|error| Problem::fault(&error))?;
        let place = format!("{}/requestComputerPartition", url.trim_end_matches('/'));
        let asked = tokio::task::spawn_blocking(move || {
            let mut request = agent.post(&place);
            if let Some((computer, partition)) = from {
                let claim =
                    format!("X-SlapPartition computer_id={computer}, computer_partition_id={partition}");
                request = request.header("authorization", claim);
            }
            let mut answer = request.send_form(form.iter().map(|(key, value)| (*key, value.as_str())))?;
            let body = answer.body_mut().with_config().limit(MOST_BYTES).read_to_vec()?;
            Ok::<_, ureq::Error>((answer.status().as_u16(), body))
        });
        let asked = asked.await.map_err(|error| Problem::fault(&error))?;
        let (status, body) =
            asked.map_err(|error| unreachable(format!("master {url} cannot be reached: {error}")))?;
        let told = || {
            let text: String = String::from_utf8_lossy(&body).trim().chars().take(300).collect();
            format!("master {url} answers {status}: {text}")
        };
        match status {
            200 => match marshal::read_bytes(&body) {
                Ok(Value::Object(object)) => Ok(ForwardedAnswer::Allocated(object)),
                _ => Err(unreachable(format!("master {url} answers what is no instance"))),
            },
            408 => Ok(ForwardedAnswer::NotReady),
            400..500 => Err(Problem::not_found(told())),
            _ => Err(unreachable(told())),
        }
    }

    fn form(
        &self,
        request: ForwardedRequest<'_>,
    ) -> Result<Vec<(&'static str, String)>, marshal::MarshalError> {
        let ForwardedRequest { wanted, software_type, parameters, partition } = request;
        let title = format!("{}_{}", partition.as_deref().unwrap_or("user"), wanted.reference);
        let mut filter: BTreeMap<String, Value> =
            wanted.filter.iter().map(|(key, value)| (key.to_string(), Value::from(&**value))).collect();
        let mut form = Vec::new();
        match &self.from {
            Some((computer, partition)) => {
                form.push(("computer_id", computer.clone()));
                form.push(("computer_partition_id", partition.clone()));
            }
            None => drop(filter.insert("source_instance_id".to_owned(), title.as_str().into())),
        }
        let state = wanted.state.map_or(Value::None, |state: RequestedState| state.as_str().into());
        form.extend([
            ("software_release", wanted.release.to_string()),
            ("software_type", software_type.to_owned()),
            ("partition_reference", title),
            ("shared_xml", marshal::write(&Value::Bool(wanted.shared))?),
            ("partition_parameter_xml", marshal::write(&parameters)?),
            ("filter_xml", marshal::write(&Value::dict(filter))?),
            ("state", marshal::write(&state)?),
        ]);
        Ok(form)
    }
}

fn unreachable(detail: String) -> Problem {
    let status = StatusCode::from_u16(UNREACHABLE).unwrap_or(StatusCode::BAD_GATEWAY);
    Problem::new(status, ProblemCode::MasterUnreachable, detail)
}
