//! Errors by their cause.

use metrics::{Key, KeyName, Label, Recorder as _, SharedString, Unit};

use super::{METADATA, Metrics};
use crate::error::{Error, Fault};

const ERRORS: &str = "oauth_errors_total";

impl Metrics {
    /// A request was answered with this error, as JSON, as a page, or at the client.
    pub(crate) fn error(&self, endpoint: &str, error: &Error) {
        // How a poll usually ends is no error.
        if *error == Error::AuthorizationPending {
            return;
        }
        let fault = match error.fault() {
            Fault::Client => "client",
            Fault::Service => "service",
            Fault::Upstream => "upstream",
        };
        let labels = vec![
            Label::new("endpoint", SharedString::from(endpoint.to_owned())),
            Label::from_static_parts("cause", cause(error)),
            Label::from_static_parts("fault", fault),
        ];
        self.recorder.register_counter(&Key::from_parts(ERRORS, labels), &METADATA).increment(1);
    }

    pub(super) fn describe_errors(&self) {
        let help = "Requests answered with an error, by endpoint, cause and whose fault it was.";
        let help = SharedString::from(help);
        self.recorder.describe_counter(KeyName::from(ERRORS), Some(Unit::Count), help);
        // What alerts look at: of the gateway's questions, and the usual faults of the service.
        let questions = [ib_contract::INTROSPECT_PATH, ib_contract::REVOCATIONS_PATH];
        let credential = questions.map(|endpoint| (endpoint, "gateway_credential", "client"));
        let faults = [ib_contract::INTROSPECT_PATH, "/authorize", "/authorize/poll", "/token"]
            .into_iter()
            .flat_map(|endpoint| {
                ["store_unavailable", "timeout"].map(|cause| (endpoint, cause, "service"))
            });
        for (endpoint, cause, fault) in credential.into_iter().chain(faults) {
            let labels = vec![
                Label::from_static_parts("endpoint", endpoint),
                Label::from_static_parts("cause", cause),
                Label::from_static_parts("fault", fault),
            ];
            let key = Key::from_parts(ERRORS, labels);
            self.recorder.register_counter(&key, &METADATA).increment(0);
        }
    }
}

/// The code of the answer, or more closely what it does not tell.
fn cause(error: &Error) -> &'static str {
    match error {
        Error::Timeout => "timeout",
        Error::StoreUnavailable => "store_unavailable",
        Error::AuditUnavailable => "audit_unavailable",
        Error::Stopping => "stopping",
        Error::Busy => "busy",
        Error::Platform(_) => "platform",
        Error::RenewalUnavailable => "renewal_unavailable",
        Error::CredentialUnavailable { .. } => "credential_unavailable",
        Error::AmbiguousScope => "ambiguous_scope",
        Error::InvalidGatewayCredential => "gateway_credential",
        Error::MethodNotAllowed => "method_not_allowed",
        Error::BodyTooLarge => "body_too_large",
        Error::MissingToken => "missing_token",
        other => other.code(),
    }
}
