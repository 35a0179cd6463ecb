//! A running master as commands ask it: its address, whom they trust, and who they say they are.
//!
//! A question and an answer at a time. What goes wrong becomes one line that says what to do about it where that is
//! known.
//! A token goes out over TLS, or to this machine; it is in no error.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use ureq::http::header::{AUTHORIZATION, LOCATION, RETRY_AFTER};
use ureq::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use ureq::middleware::MiddlewareNext;
use ureq::tls::TlsConfig;
use ureq::{Body, SendBody};

use super::later::{self, Later};

/// Which project those choose who reach all of them.
const PROJECT: HeaderName = HeaderName::from_static("slapledger-project");
/// The longest answer that is read.
pub const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// By what a client is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientIdentity {
    Nothing,
    Token,
    Certificate,
}

/// A running master, and who asks it. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    url: String,
    agent: ureq::Agent,
    by: ClientIdentity,
    /// What reads are to show, if it is not what is so now.
    as_of: Option<Arc<str>>,
}

/// The routes of a data folder, which answer without a socket.
pub trait FolderRoutes: Send + Sync + 'static {
    /// What they answer.
    fn answer(&self, request: Request<Vec<u8>>) -> io::Result<Response<Box<dyn Read + Send + Sync>>>;
}

/// The address of routes that have none: no name of a machine, and never looked up.
const NO_ADDRESS: &str = "http://folder.invalid";

/// What a client brings.
#[derive(Default)]
pub struct Brought {
    /// How TLS is spoken; nothing to an address without it.
    pub tls: Option<TlsConfig>,
    /// `Bearer ...`.
    pub authorization: Option<HeaderValue>,
    pub project: Option<HeaderValue>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({} by {:?})", self.url, self.by)
    }
}

impl Server {
    /// The master at an address.
    pub fn new(url: &str, brought: Brought) -> anyhow::Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let uri: Uri = url.parse().ok().with_context(|| wrong_address(&url))?;
        let host = uri.host().filter(|host| !host.is_empty()).with_context(|| wrong_address(&url))?;
        let Brought { tls, authorization, project } = brought;
        let has_certificate = tls.as_ref().is_some_and(|tls| tls.client_cert().is_some());
        match uri.scheme_str() {
            Some("http") if authorization.is_some() && !is_here(host) => {
                bail!("a token is not sent to {url}: anybody could read it on its way; https:// is for that")
            }
            Some("http" | "https") => {}
            _ => bail!(wrong_address(&url)),
        }
        let by = match (&authorization, has_certificate) {
            (Some(_), _) => ClientIdentity::Token,
            (None, true) => ClientIdentity::Certificate,
            (None, false) => ClientIdentity::Nothing,
        };
        let mut config = ureq::Agent::config_builder().http_status_as_error(false);
        if let Some(tls) = tls {
            config = config.tls_config(tls);
        }
        let identify = move |mut request: Request<SendBody<'_>>, next: MiddlewareNext<'_>| {
            let headers = request.headers_mut();
            // Beside a claim of SLAP, which is in a header of the same name.
            if let Some(authorization) = &authorization {
                headers.append(AUTHORIZATION, authorization.clone());
            }
            if let Some(project) = &project {
                headers.insert(PROJECT, project.clone());
            }
            next.handle(request)
        };
        // A master sends nobody elsewhere, and what is said here is for it alone.
        let config = config.max_redirects(0).middleware(identify);
        Ok(Self { url, agent: config.build().into(), by, as_of: None })
    }

    /// A data folder in place of a master: the same questions, the same answers.
    pub fn of_folder(routes: impl FolderRoutes) -> Self {
        let answer = move |request: Request<SendBody<'_>>, _: MiddlewareNext<'_>| {
            let (parts, body) = request.into_parts();
            let mut sent = Vec::new();
            body.into_reader().read_to_end(&mut sent)?;
            let answer = routes.answer(Request::from_parts(parts, sent))?;
            Ok(answer.map(|body| Body::builder().reader(body)))
        };
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
        Self {
            url: NO_ADDRESS.to_owned(),
            agent: config.middleware(answer).build().into(),
            by: ClientIdentity::Nothing,
            as_of: None,
        }
    }

    /// The same with reads as of a sequence or an instant.
    #[must_use]
    pub fn as_of(self, point: Option<&str>) -> Self {
        Self { as_of: point.map(Into::into), ..self }
    }

    /// The same for somebody who says nothing of themselves.
    #[cfg(test)]
    pub fn plain(url: &str) -> Self {
        Self::new(url, Brought::default()).expect("an address")
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// By what the caller is known.
    pub fn by(&self) -> ClientIdentity {
        self.by
    }

    pub fn agent(&self) -> &ureq::Agent {
        &self.agent
    }

    fn place(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = self.place(path);
        self.answer(self.read(&url, query), &url)
    }

    /// The answer as it is.
    pub fn get_text(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<String> {
        let url = self.place(path);
        self.text(self.read(&url, query), &url)
    }

    /// Reads; asks again as long as what is to be shown of the past is being derived.
    fn read(&self, url: &str, query: &[(&str, &str)]) -> Result<Response<Body>, ureq::Error> {
        let as_of = self.as_of.as_deref().map(|point| ("as_of", point));
        let mut response = self.agent.get(url).query_pairs(query.iter().copied().chain(as_of)).call()?;
        while as_of.is_some() && response.status() == StatusCode::ACCEPTED {
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            let Some(place) = header(LOCATION).map(|place| self.place(place)) else { break };
            let seconds = header(RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
            thread::sleep(Duration::from_secs(seconds.unwrap_or(1)));
            response = self.agent.get(&place).call()?;
        }
        Ok(response)
    }

    /// Refuses to change something in the past.
    fn check_now(&self) -> anyhow::Result<()> {
        ensure!(self.as_of.is_none(), "--as-of: what this command asks for is about now; leave it out");
        Ok(())
    }

    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> anyhow::Result<Value> {
        self.check_now()?;
        let url = self.place(path);
        self.answer(self.agent.post(&url).content_type(content_type).send(body), &url)
    }

    pub fn post_json(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.post(path, "application/json", body.to_string().as_bytes())
    }

    /// Puts or patches, with JSON.
    pub fn change(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.check_now()?;
        let url = self.place(path);
        let request = Request::builder().method(method).uri(&url);
        let request = request.header("content-type", "application/json").body(body.to_string());
        self.answer(self.agent.run(request.with_context(|| format!("ask {url}"))?), &url)
    }

    /// Gets what a token is good for, once.
    pub fn trade(&self, path: &str, token: &str) -> anyhow::Result<Value> {
        let url = self.place(path);
        let request = self.agent.post(&url).header("x-access-token", token);
        self.answer(request.send_form(std::iter::empty::<(&str, &str)>()), &url)
    }

    pub fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.check_now()?;
        let url = self.place(path);
        self.answer(self.agent.delete(&url).call(), &url)
    }

    /// All items of a list, page by page.
    pub fn list(&self, path: &str, filters: &[(&str, Option<&str>)]) -> anyhow::Result<Vec<Value>> {
        list(filters, |query| self.get(path, query))
    }

    /// The bytes of an answer, as they come.
    pub fn download(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<impl std::io::Read + 'static> {
        let url = self.place(path);
        match self.read(&url, query) {
            Ok(response) if response.status().is_success() => Ok(response.into_body().into_reader()),
            answered => Err(self
                .text(answered, &url)
                .err()
                .unwrap_or_else(|| anyhow::anyhow!("{url} answered nothing"))),
        }
    }

    /// The JSON of an answer; a problem becomes an error that says what the server says.
    fn answer(&self, result: Result<Response<Body>, ureq::Error>, url: &str) -> anyhow::Result<Value> {
        let text = self.text(result, url)?;
        serde_json::from_str(&text).with_context(|| format!("read the answer of {url}"))
    }

    /// The same of an answer that is a text.
    fn text(&self, result: Result<Response<Body>, ureq::Error>, url: &str) -> anyhow::Result<String> {
        let unreachable = |error: ureq::Error| {
            let text = format!("the server at {} cannot be reached: {}", self.url, reason(&error, &self.url));
            if later::may_return(&error) { Later::TryAgain(text).into() } else { anyhow::Error::msg(text) }
        };
        let mut response = result.map_err(unreachable)?;
        let body = response.body_mut().with_config().limit(MOST_BYTES);
        let text = body.read_to_string().map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            return Ok(text);
        }
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let hint = hint(status.as_u16(), self.by);
        let text = match (problem["detail"].as_str(), problem["field"].as_str()) {
            (Some(detail), Some(field)) => format!("{field}: {detail}"),
            (Some(detail), None) => format!("{detail}{hint}"),
            _ => format!("{url} answered {status}{hint}"),
        };
        match Later::of(status.as_u16(), later::code_of(&problem), &text) {
            Some(later) => Err(later.into()),
            None => bail!(text),
        }
    }
}

/// All items of a list that is asked for page by page.
pub fn list(
    filters: &[(&str, Option<&str>)],
    get: impl Fn(&[(&str, &str)]) -> anyhow::Result<Value>,
) -> anyhow::Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let filters = filters.iter().copied().chain([("cursor", cursor.as_deref())]);
        let query: Vec<_> = filters.filter_map(|(key, value)| Some((key, value?))).collect();
        let page = get(&query)?;
        items.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(items),
        }
    }
}

/// What may help somebody who was not let in.
pub fn hint(status: u16, by: ClientIdentity) -> &'static str {
    match by {
        ClientIdentity::Nothing if status == StatusCode::UNAUTHORIZED.as_u16() => {
            "; --token-file, or --cert and --key, say who asks"
        }
        ClientIdentity::Nothing | ClientIdentity::Token | ClientIdentity::Certificate => "",
    }
}

fn wrong_address(url: &str) -> String {
    format!("{url:?} is no address of a server; it must look like https://example.com:5000")
}

/// Whether that is this machine.
fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Why a server cannot be asked, for people.
pub fn reason(error: &ureq::Error, url: &str) -> String {
    use rustls::{AlertDescription as Alert, CertificateError, Error as Tls};
    match tls_error(error) {
        Some(Tls::InvalidCertificate(wrong)) => match wrong {
            CertificateError::UnknownIssuer => "its certificate is of nobody that is trusted; --ca-file names the \
                                                file of its root, such as ca/root.pem in the folder of a master"
                .to_owned(),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("its certificate is for other names: {wrong}")
            }
            wrong => format!("its certificate is not good: {wrong}"),
        },
        Some(Tls::AlertReceived(
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::UnsupportedCertificate
            | Alert::AccessDenied
            | Alert::DecryptError,
        )) => "it does not take the certificate that was shown to it; --cert and --key name another".to_owned(),
        Some(Tls::InvalidMessage(_)) => "it does not speak TLS; its address may be one of http://".to_owned(),
        Some(other) => format!("TLS: {other}"),
        None => match error {
            ureq::Error::Io(io) => match io.kind() {
                std::io::ErrorKind::ConnectionRefused => "nobody listens there (connection refused)".to_owned(),
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof
                    if url.starts_with("http://") =>
                {
                    format!("{io}; its address may be one of https://")
                }
                _ => io.to_string(),
            },
            // What speaks TLS answers a request in the clear with an alert.
            ureq::Error::Protocol(_) if url.starts_with("http://") => {
                format!("{error}; its address may be one of https://")
            }
            ureq::Error::HostNotFound => "no machine has that name".to_owned(),
            ureq::Error::Timeout(_) => "it did not answer in time".to_owned(),
            other => other.to_string(),
        },
    }
}

/// What TLS says is wrong; it may come wrapped as what reading and writing says.
fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(tls) => Some(tls),
        ureq::Error::Io(io) => io.get_ref()?.downcast_ref(),
        _ => None,
    }
}
