//! How far a listener is on its way to its end.

/// How far a listener is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It serves.
    Serving,
    /// It was told to stop: no connection is accepted, and none is kept for another request.
    Stopping,
    /// Connections that wait for a request are closed.
    Closing,
    /// What is not there by now is not waited for.
    Cutting,
}

impl Stage {
    /// What comes after it.
    pub(super) fn following(self) -> Option<Self> {
        match self {
            Self::Serving => Some(Self::Stopping),
            Self::Stopping => Some(Self::Closing),
            Self::Closing => Some(Self::Cutting),
            Self::Cutting => None,
        }
    }
}
