//! Errors that end when time passes, each with an exit status of its own: scripts wait, or try again.

/// The exit status of what is not ready yet.
pub const NOT_READY_STATUS: u8 = 2;
/// The exit status of what can be tried again (`EX_TEMPFAIL` of sysexits.h).
pub const TRY_AGAIN_STATUS: u8 = 75;

/// Problem codes of what is not ready yet: nothing has to be corrected, and time alone changes the answer.
const NOT_READY: [&str; 3] = ["instance-unallocated", "period-not-over", "grace-period"];
/// Problem codes of what is in the way for a moment, whatever the status.
const FOR_A_MOMENT: [&str; 2] = ["rebuild-under-way", "clock-behind"];
/// Statuses that a server or a proxy in front of it answers when the same request may be carried out later.
const TRY_AGAIN: [u16; 6] = [429, 502, 503, 504, 507, 523];

/// Why a command cannot be carried out now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Later {
    /// It is not ready yet.
    #[error("{0}")]
    NotReady(String),
    /// The server cannot do it at the moment.
    #[error("{0}")]
    TryAgain(String),
}

impl Later {
    /// What an answer with this status and problem code says about time; nothing, if it will be the same later.
    pub fn of(status: u16, code: &str, text: &str) -> Option<Self> {
        if status == 408 || NOT_READY.contains(&code) {
            Some(Self::NotReady(text.to_owned()))
        } else if TRY_AGAIN.contains(&status) || FOR_A_MOMENT.contains(&code) {
            Some(Self::TryAgain(text.to_owned()))
        } else {
            None
        }
    }

    /// The status with which a command ends.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::NotReady(_) => NOT_READY_STATUS,
            Self::TryAgain(_) => TRY_AGAIN_STATUS,
        }
    }
}

/// The code of a problem: the last word of its type.
pub fn code_of(problem: &serde_json::Value) -> &str {
    problem["type"].as_str().and_then(|urn| urn.rsplit(':').next()).unwrap_or_default()
}

/// Whether a server that cannot be reached may be there in a moment. A wrong name or a wrong certificate stays wrong.
pub fn may_return(error: &ureq::Error) -> bool {
    use std::io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable,
        NetworkUnreachable, TimedOut, UnexpectedEof,
    };
    match error {
        ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed => true,
        ureq::Error::Io(io) => matches!(
            io.kind(),
            BrokenPipe
                | ConnectionAborted
                | ConnectionRefused
                | ConnectionReset
                | HostUnreachable
                | NetworkUnreachable
                | TimedOut
                | UnexpectedEof
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn time_changes_some_answers() {
        let check = |status, code, expected: Option<u8>| {
            let later = Later::of(status, code, "text");
            assert_eq!(later.as_ref().map(Later::exit_status), expected, "{status} {code}");
            assert!(later.is_none_or(|later| later.to_string() == "text"));
        };
        check(408, "", Some(2));
        check(409, "grace-period", Some(2));
        check(409, "period-not-over", Some(2));
        check(409, "instance-unallocated", Some(2));
        check(429, "too-many-requests", Some(75));
        check(503, "sequence-not-reached", Some(75));
        check(507, "insufficient-storage", Some(75));
        check(523, "", Some(75));
        check(409, "rebuild-under-way", Some(75));
        check(409, "clock-behind", Some(75));
        check(404, "not-found", None);
        check(409, "run-final", None);
        check(500, "fault", None);
    }

    #[test]
    fn the_code_is_the_last_word() {
        assert_eq!(code_of(&json!({"type": "urn:slapledger:problem:grace-period"})), "grace-period");
        assert_eq!(code_of(&json!({"detail": "x"})), "");
    }
}
