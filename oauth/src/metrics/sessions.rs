//! Sessions at IntelligenceBank.

use metrics::{KeyName, Recorder as _, SharedString, Unit};

use super::Metrics;

const SESSIONS: &str = "oauth_sessions_total";

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionEvent {
    /// A grant got it.
    Begun,
    /// IntelligenceBank gave a newer one.
    Renewed,
    /// Its grant was revoked.
    Revoked,
    /// IntelligenceBank does not accept it any more.
    Rejected,
}

impl SessionEvent {
    const ALL: [Self; 4] = [Self::Begun, Self::Renewed, Self::Revoked, Self::Rejected];

    fn label(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Renewed => "renewed",
            Self::Revoked => "revoked",
            Self::Rejected => "rejected",
        }
    }
}

impl Metrics {
    pub(crate) fn session(&self, event: SessionEvent) {
        self.count(SESSIONS, &[("event", event.label())], 1);
    }

    pub(super) fn describe_sessions(&self) {
        let help = SharedString::from("Sessions begun, renewed, and ended before their time.");
        self.recorder.describe_counter(KeyName::from(SESSIONS), Some(Unit::Count), help);
        for event in SessionEvent::ALL {
            self.count(SESSIONS, &[("event", event.label())], 0);
        }
    }
}
