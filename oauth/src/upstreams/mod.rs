//! Upstreams: where sessions come from. The domain knows the traits alone, so that another upstream is
//! another file: one where people log in, and one where keys are traded for a token.

use std::{future::Future, pin::Pin};

use ib_contract::Secret;
use serde::{Deserialize, Serialize};

use crate::settings::MachineCredential;

mod addresses;
pub(crate) mod client_documents;
pub(crate) mod guard;
mod https;
pub(crate) mod intelligencebank;
pub(crate) mod measured;
pub(crate) mod rei_cca;
mod resolver;

/// Where people log in, in a browser, to begin a session.
pub(crate) trait LoginUpstream: Send + Sync + 'static {
    /// Begins a login on the platform at `host`, which the caller has checked.
    fn begin<'a>(&'a self, host: &'a str) -> Answer<'a, BegunLogin>;

    /// Reads how far a login is.
    fn progress<'a>(&'a self, host: &'a str, login: &'a Secret) -> Answer<'a, LoginProgress>;

    /// Ends the session that `sid` proves, where the upstream has a way for that. What comes of it
    /// changes nothing here.
    fn end<'a>(&'a self, host: &'a str, sid: &'a Secret) -> Answer<'a, Ended>;
}

/// Where keys are traded for a Bearer token, and nobody logs in.
pub(crate) trait TokenUpstream: Send + Sync + 'static {
    /// Trades the keys of `credential` for a token.
    fn acquire<'a>(&'a self, credential: &'a MachineCredential) -> Answer<'a, Acquired>;
}

/// What a token endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// A token.
    Token {
        /// What proves the session, as it stands behind `bearer `.
        token: Secret,
        /// How long it lives from when it was asked for, in seconds; at least 1.
        expires_in: u64,
    },
    /// It does not accept these keys. Asking again with the same ones does not help soon.
    Refused {
        /// A word of this service's own.
        reason: &'static str,
    },
}

/// What became of the wish to end a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The upstream has no way that is known.
    NoWay,
    /// It answered as if it had ended the session.
    Yes,
    /// It refused.
    Refused {
        /// The HTTP status.
        status: u16,
    },
}

/// What the trait's methods return.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, UpstreamError>> + Send + 'a>>;

/// A login that a person may go through now.
#[derive(Debug, Clone)]
pub(crate) struct BegunLogin {
    /// Where the person's browser goes. It holds `login`.
    pub(crate) url: Secret,
    /// What names the login to the upstream: whoever has it can read the session.
    pub(crate) login: Secret,
}

/// How far a login is.
#[derive(Debug, Clone)]
pub(crate) enum LoginProgress {
    /// Nobody has logged in yet; or, of a login that was complete, there is nothing to be had by it.
    Pending,
    /// The answer is none that the upstream itself would give: a page of something in between, or of
    /// a platform that is being maintained. It says nothing about the login.
    Unclear {
        /// The HTTP status.
        status: u16,
    },
    /// The login has ended without a session.
    Expired,
    /// Somebody has logged in.
    Complete(Box<UpstreamSession>),
}

/// A session as the upstream describes it. Nothing in it has been checked against the settings yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UpstreamSession {
    /// What proves the session, in the alphabet that [`intelligencebank`] allows.
    pub(crate) sid: Secret,
    /// When the person logged in, in seconds since the Unix epoch.
    pub(crate) login_time: Option<u64>,
    /// How long the session lives from then, in hours, as the upstream says.
    pub(crate) period_hours: Option<i64>,
    /// Where the API is.
    pub(crate) api_url: Option<String>,
    /// IntelligenceBank's id of the customer.
    pub(crate) ib_client_id: Option<String>,
    pub(crate) person: Person,
}

/// Who logged in. Personal data: it has no place in a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Person {
    /// IntelligenceBank's id of the user.
    pub(crate) uuid: String,
    pub(crate) given_name: Option<String>,
    pub(crate) family_name: Option<String>,
    /// The person's own address, never the administrator's.
    pub(crate) email: Option<String>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// Why an upstream gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// No connection, no answer in time, or one cut short. Trying again may help.
    #[error("the platform cannot be reached: {0}")]
    Unreachable(&'static str),
    /// It asked not to be asked for a while (429).
    #[error("the platform asks for a pause")]
    Limited {
        /// Seconds, as it said.
        retry_after: Option<u64>,
    },
    /// It answered, but not as an IntelligenceBank platform does.
    #[error("the platform answered with status {status}, which is not how one begins a login")]
    NotAPlatform {
        /// The HTTP status.
        status: u16,
    },
    /// An answer longer than the settings allow.
    #[error("the platform's answer is too long")]
    TooLong,
    /// An answer whose contents cannot be right.
    #[error("the platform's answer has no usable {0}")]
    Unusable(&'static str),
}

pub(crate) use https::ClientError;

/// Whether `pem` holds at least one certificate that can be read.
pub(crate) fn holds_certificates(pem: &[u8]) -> bool {
    reqwest::Certificate::from_pem_bundle(pem).is_ok_and(|certificates| !certificates.is_empty())
}
