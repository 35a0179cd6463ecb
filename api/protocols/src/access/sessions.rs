//! Sessions of browsers: a cookie in place of a token.
//!
//! A session is an opaque random id. It is kept here under its digest, with the credential that it was opened by, and
//! nothing else: the credential is looked up at each request, so a session ends when its credential does. Sessions are
//! bounded, in all and for each credential, and end with the program. A session authenticates reads, and what writes
//! only where the token of its form was checked (`FormChecked`).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use slapledger_core::domain::id::CredentialId;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The name of the cookie of a session, and where clients come by TLS: browsers take that from this host alone.
const COOKIE: [&str; 2] = ["slapledger-session", "__Host-slapledger-session"];
/// The most sessions of all; opening another ends the one that was used least recently.
const MOST: usize = 10_000;
/// The most sessions of one credential.
const MOST_OF_ONE: usize = 32;
/// How long a session lasts that is not used.
const IDLE: Duration = Duration::from_secs(12 * 3600);

/// What browsers ask for by themselves.
const STREAM: &str = "/v1/events/stream";

/// The forms of a request carry the token of its browser.
#[derive(Clone, Copy)]
pub(crate) struct FormChecked;

struct Session {
    credential: CredentialId,
    used: Instant,
}

/// The sessions of browsers, and the secret by which forms are known.
pub struct Sessions {
    secret: Zeroizing<[u8; 32]>,
    sessions: Mutex<HashMap<[u8; 32], Session>>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { secret: Zeroizing::new(random()), sessions: Mutex::default() }
    }
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes, or nothing here is safe");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl Sessions {
    /// A random text that nobody can guess.
    pub(crate) fn unguessable() -> String {
        hex(&random()[..16])
    }

    /// Opens a session; the answer is its id.
    pub(crate) fn open(&self, credential: CredentialId) -> String {
        let id = hex(&random());
        let mut sessions = self.sessions.lock();
        sessions.retain(|_, session| session.used.elapsed() < IDLE);
        let oldest = |sessions: &HashMap<[u8; 32], Session>, of: Option<CredentialId>| {
            let those = sessions.iter().filter(|(_, known)| of.is_none_or(|of| known.credential == of));
            those.min_by_key(|(_, known)| known.used).map(|(digest, _)| *digest)
        };
        let of_one = sessions.values().filter(|known| known.credential == credential).count();
        let ended = if of_one >= MOST_OF_ONE {
            oldest(&sessions, Some(credential))
        } else if sessions.len() >= MOST {
            oldest(&sessions, None)
        } else {
            None
        };
        if let Some(ended) = ended {
            sessions.remove(&ended);
        }
        sessions.insert(Sha256::digest(&id).into(), Session { credential, used: Instant::now() });
        id
    }

    /// The credential of a session.
    fn credential(&self, id: &str) -> Option<CredentialId> {
        let mut sessions = self.sessions.lock();
        let session = sessions.get_mut::<[u8; 32]>(&Sha256::digest(id).into())?;
        if session.used.elapsed() >= IDLE {
            return None;
        }
        session.used = Instant::now();
        Some(session.credential)
    }

    /// The credential of the session of a browser, without counting as a use of it.
    pub(super) fn peek(&self, headers: &HeaderMap, https: bool) -> Option<CredentialId> {
        let digest: [u8; 32] = Sha256::digest(session_cookie(headers, https)?).into();
        let sessions = self.sessions.lock();
        sessions.get(&digest).filter(|known| known.used.elapsed() < IDLE).map(|known| known.credential)
    }

    /// Whether a request names a session, ended or not.
    pub(crate) fn has_session(headers: &HeaderMap, https: bool) -> bool {
        session_cookie(headers, https).is_some()
    }

    /// Ends a session.
    pub(crate) fn end(&self, headers: &HeaderMap, https: bool) {
        if let Some(id) = session_cookie(headers, https) {
            self.sessions.lock().remove::<[u8; 32]>(&Sha256::digest(id).into());
        }
    }

    /// The cookie of a session, for as long as its browser is open.
    pub(crate) fn cookie(id: &str, https: bool) -> String {
        let (name, secure) = if https { (COOKIE[1], "; Secure") } else { (COOKIE[0], "") };
        format!("{name}={id}; Path=/; HttpOnly; SameSite=Strict{secure}")
    }

    /// What removes it.
    pub(crate) fn no_cookie(https: bool) -> String {
        format!("{}; Max-Age=0", Self::cookie("", https))
    }

    /// The token that forms of a browser carry: a keyed digest of its cookies, which no other site can read or set.
    pub(crate) fn form_token(&self, browser: &str, headers: &HeaderMap, https: bool) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.secret).expect("any length is a key");
        mac.update(browser.as_bytes());
        mac.update(b".");
        mac.update(session_cookie(headers, https).unwrap_or_default().as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    /// Whether a form carries the token of its browser.
    pub(crate) fn checks(&self, browser: &str, (headers, https): (&HeaderMap, bool), token: &str) -> bool {
        let known = self.form_token(browser, headers, https);
        !browser.is_empty() && bool::from(known.as_bytes().ct_eq(token.as_bytes()))
    }
}

/// The refusal of a form whose token was not checked, or is not right.
pub(crate) fn unchecked_form() -> Problem {
    let detail =
        "the form is not one of this browser, or too old: load its page again, and send it from there";
    let problem = Problem::new(StatusCode::FORBIDDEN, ProblemCode::CrossSite, detail);
    Problem { field: Some("csrf".into()), ..problem }
}

/// A cookie of a request.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let told = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = told.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// The session that a request names. Where clients come by TLS no other name counts: a site beside this one could set it.
fn session_cookie(headers: &HeaderMap, https: bool) -> Option<&str> {
    cookie(headers, COOKIE[usize::from(https)]).filter(|id| !id.is_empty())
}

/// The credential of the session of a request, where a session counts.
pub(super) fn session_of(sessions: &Sessions, request: &Request, https: bool) -> Option<CredentialId> {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let counts = reads || request.extensions().get::<FormChecked>().is_some();
    // A page that is left open connects its stream again and again: that is no use of the session.
    if request.uri().path() == STREAM {
        return sessions.peek(request.headers(), https).filter(|_| counts);
    }
    session_cookie(request.headers(), https).filter(|_| counts).and_then(|id| sessions.credential(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_its_credential_s_until_it_ends_and_they_are_bounded() {
        let (sessions, credential) = (Sessions::default(), CredentialId([1; 16]));
        let other = sessions.open(CredentialId([2; 16]));
        let first = sessions.open(credential);
        assert_eq!(sessions.credential(&first), Some(credential));
        assert_eq!(sessions.credential("guessed"), None);
        for _ in 0..MOST_OF_ONE {
            sessions.open(credential);
        }
        assert_eq!(sessions.credential(&first), None, "the oldest of the credential has ended");
        assert_eq!(sessions.credential(&other), Some(CredentialId([2; 16])), "and none of another");
        assert_eq!(sessions.sessions.lock().len(), MOST_OF_ONE + 1);
        let headers = HeaderMap::from_iter([(
            header::COOKIE,
            format!("{}={other}", COOKIE[0]).parse().expect("ASCII"),
        )]);
        sessions.end(&headers, true);
        assert!(sessions.credential(&other).is_some(), "a site beside this one may have set it");
        sessions.end(&headers, false);
        assert_eq!(sessions.credential(&other), None);
    }

    #[test]
    fn the_token_of_a_form_is_that_of_its_browser_and_session() {
        let sessions = Sessions::default();
        let of = |session: &str| {
            HeaderMap::from_iter([(
                header::COOKIE,
                format!("{}={session}", COOKIE[1]).parse().expect("ASCII"),
            )])
        };
        let token = sessions.form_token("browser", &of("a"), true);
        assert!(sessions.checks("browser", (&of("a"), true), &token));
        assert!(!sessions.checks("browser", (&of("b"), true), &token));
        assert!(!sessions.checks("another", (&of("a"), true), &token));
        assert!(!sessions.checks("", (&of("a"), true), &sessions.form_token("", &of("a"), true)));
        assert!(!Sessions::default().checks("browser", (&of("a"), true), &token));
    }
}
