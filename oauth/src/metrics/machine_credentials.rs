//! Tokens of machine credentials: how they are acquired, and how old they are.

use metrics::{Key, KeyName, Label, Recorder as _, SharedString, Unit};

use super::{METADATA, Metrics};

const ACQUISITIONS: &str = "oauth_machine_credential_acquisitions_total";
const FAILURES: &str = "oauth_machine_credential_failures";
const ACQUIRED: &str = "oauth_machine_credential_acquired_timestamp_seconds";
const REFRESH: &str = "oauth_machine_credential_refresh_timestamp_seconds";
const EXPIRES: &str = "oauth_machine_credential_expires_timestamp_seconds";

/// The results that alerts and panels look for: a series that begins with its first event has no
/// increase to see.
const RESULTS: [&str; 5] =
    ["acquired", "unreachable", "unauthorized_client", "keys_refused", "unsupported_grant_type"];

/// How a credential is. Times are in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CredentialState {
    /// In a row.
    pub(crate) failures: u32,
    pub(crate) acquired_at: Option<u64>,
    pub(crate) refresh_at: Option<u64>,
    pub(crate) expires_at: Option<u64>,
}

impl Metrics {
    /// There is a credential of this name: its series are there before the first event.
    pub(crate) fn credential_exists(&self, name: &str) {
        for cause in ["first_use", "near_expiry", "rejected", "operator"] {
            for result in RESULTS {
                self.count_credential(name, cause, result, 0);
            }
        }
        let state =
            CredentialState { failures: 0, acquired_at: None, refresh_at: None, expires_at: None };
        self.credential(name, state);
    }

    /// The endpoint was asked, for this cause and with this result: words of the service's own.
    pub(crate) fn credential_acquired(
        &self,
        name: &str,
        cause: &'static str,
        result: &'static str,
    ) {
        self.count_credential(name, cause, result, 1);
    }

    pub(crate) fn credential(&self, name: &str, state: CredentialState) {
        let set = |metric: &'static str, value: f64| {
            let label = Label::new("credential", SharedString::from(name.to_owned()));
            let key = Key::from_parts(metric, vec![label]);
            self.recorder.register_gauge(&key, &METADATA).set(value);
        };
        set(FAILURES, f64::from(state.failures));
        for (metric, time) in [
            (ACQUIRED, state.acquired_at),
            (REFRESH, state.refresh_at),
            (EXPIRES, state.expires_at),
        ] {
            if let Some(time) = time {
                set(metric, seconds(time));
            }
        }
    }

    fn count_credential(&self, name: &str, cause: &'static str, result: &'static str, by: u64) {
        let labels = vec![
            Label::new("credential", SharedString::from(name.to_owned())),
            Label::from_static_parts("cause", cause),
            Label::from_static_parts("result", result),
        ];
        let key = Key::from_parts(ACQUISITIONS, labels);
        self.recorder.register_counter(&key, &METADATA).increment(by);
    }

    pub(super) fn describe_machine_credentials(&self) {
        let help = "Questions to token endpoints, by credential, cause and result.";
        let (name, help) = (KeyName::from(ACQUISITIONS), SharedString::from(help));
        self.recorder.describe_counter(name, Some(Unit::Count), help);
        for (name, help) in [
            (FAILURES, "Questions for a token that have failed in a row, by credential."),
            (ACQUIRED, "When the present token was acquired, by credential (Unix time)."),
            (REFRESH, "From when on the next token is asked for, by credential (Unix time)."),
            (EXPIRES, "When the present token ends, by credential (Unix time)."),
        ] {
            let (name, help) = (KeyName::from(name), SharedString::from(help));
            self.recorder.describe_gauge(name, None, help);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "Unix seconds are far below 2^53")]
const fn seconds(time: u64) -> f64 {
    time as f64
}
