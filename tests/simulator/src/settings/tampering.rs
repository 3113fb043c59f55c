//! Faults and answers: what a simulated host does instead of its own business.

use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use super::InvalidSetting;
use crate::tenants;

const MAXIMUM_DELAY_MILLISECONDS: u64 = 600_000;
const MAXIMUM_BODY_BYTES: usize = 256 * 1024;
const MAXIMUM_HEADERS: usize = 100;
const MAXIMUM_PAUSE_MILLISECONDS: u64 = 1_000;

/// Headers that frame a message. They belong to the server that writes it.
const FRAMING_HEADERS: [&str; 6] =
    ["connection", "content-length", "keep-alive", "te", "transfer-encoding", "upgrade"];

/// Which requests a fault or an answer concerns, and how many of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope<'a> {
    host: Option<&'a str>,
    path_prefix: Option<&'a str>,
    count: Option<u32>,
}

impl Scope<'_> {
    fn covers(&self, host: &str, raw_path: &str) -> bool {
        self.host.is_none_or(|wanted| wanted == host)
            && self.path_prefix.is_none_or(|prefix| raw_path.starts_with(prefix))
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        if self.host.is_some_and(|host| !tenants::HOSTS.contains(&host)) {
            return Err(InvalidSetting::new("host", "is none of the simulated hosts"));
        }
        if self.path_prefix.is_some_and(|prefix| !prefix.starts_with('/')) {
            return Err(InvalidSetting::new("path_prefix", "does not begin with a slash"));
        }
        if self.count == Some(0) {
            return Err(InvalidSetting::new("count", "is 0, so that this would never happen"));
        }
        Ok(())
    }
}

/// A failure to show to the next requests that match.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// One of the simulated hosts; none means each of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// How the raw path begins; none means any path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path_prefix: Option<String>,
    /// How many requests are still to be hit; none means all until the settings change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u32>,
    /// The status to answer with, in place of the ordinary answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// How long to wait first.
    #[serde(default)]
    pub(crate) delay_ms: u64,
    /// Abort the TCP connection, with no answer.
    #[serde(default)]
    pub(crate) reset: bool,
}

impl Fault {
    fn scope(&self) -> Scope<'_> {
        Scope {
            host: self.host.as_deref(),
            path_prefix: self.path_prefix.as_deref(),
            count: self.count,
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        self.scope().check()?;
        check_status(self.status)?;
        if self.delay_ms > MAXIMUM_DELAY_MILLISECONDS {
            let reason = format!("is over {MAXIMUM_DELAY_MILLISECONDS}");
            return Err(InvalidSetting::new("delay_ms", reason));
        }
        if self.reset && self.status.is_some() {
            return Err(InvalidSetting::new("reset", "excludes status: a reset has no answer"));
        }
        if !self.reset && self.status.is_none() && self.delay_ms == 0 {
            return Err(InvalidSetting::new("status", "is missing, and so are delay_ms and reset"));
        }
        Ok(())
    }
}

/// An answer to give in place of the ordinary one. `{sid}` in a header value or in the body stands
/// for the session id that the request carried.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u32>,
    #[serde(default = "ok")]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) body: String,
    /// How many bytes of the body are sent at a time, without a content-length; none means all at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) piece_bytes: Option<usize>,
    /// How long to wait after each piece.
    #[serde(default)]
    pub(crate) pause_ms: u64,
}

fn ok() -> u16 {
    StatusCode::OK.as_u16()
}

impl Answer {
    fn scope(&self) -> Scope<'_> {
        Scope {
            host: self.host.as_deref(),
            path_prefix: self.path_prefix.as_deref(),
            count: self.count,
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        self.scope().check()?;
        check_status(Some(self.status))?;
        if self.body.len() > MAXIMUM_BODY_BYTES {
            let reason = format!("is longer than {MAXIMUM_BODY_BYTES} bytes");
            return Err(InvalidSetting::new("body", reason));
        }
        if self.piece_bytes == Some(0) {
            return Err(InvalidSetting::new(
                "piece_bytes",
                "is 0, so that the body would never end",
            ));
        }
        if self.pause_ms > MAXIMUM_PAUSE_MILLISECONDS {
            let reason = format!("is over {MAXIMUM_PAUSE_MILLISECONDS}");
            return Err(InvalidSetting::new("pause_ms", reason));
        }
        if self.headers.len() > MAXIMUM_HEADERS {
            let reason = format!("has more than {MAXIMUM_HEADERS} entries");
            return Err(InvalidSetting::new("headers", reason));
        }
        self.headers.iter().try_for_each(|(name, value)| check_header(name, value))
    }
}

fn check_status(status: Option<u16>) -> Result<(), InvalidSetting> {
    if status.is_some_and(|status| !(200..=599).contains(&status)) {
        return Err(InvalidSetting::new("status", "is not between 200 and 599"));
    }
    Ok(())
}

fn check_header(name: &str, value: &str) -> Result<(), InvalidSetting> {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(InvalidSetting::new("headers", "has a name that is no header name"));
    }
    if FRAMING_HEADERS.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
        return Err(InvalidSetting::new("headers", format!("has {name}, which the server writes")));
    }
    if HeaderValue::from_str(value).is_err() {
        return Err(InvalidSetting::new("headers", format!("has a value for {name} that is none")));
    }
    Ok(())
}

impl super::Settings {
    /// The fault that a request meets, counted as used.
    pub(crate) fn take_fault(&mut self, host: &str, raw_path: &str) -> Option<Fault> {
        take(&mut self.faults, host, raw_path, Fault::scope, |fault| &mut fault.count)
    }

    /// The answer set for a request, counted as used.
    pub(crate) fn take_answer(&mut self, host: &str, raw_path: &str) -> Option<Answer> {
        take(&mut self.answers, host, raw_path, Answer::scope, |answer| &mut answer.count)
    }
}

/// Finds the first item that covers the request and counts it down; one that is used up goes.
fn take<T: Clone>(
    items: &mut Vec<T>,
    host: &str,
    raw_path: &str,
    scope: impl Fn(&T) -> Scope<'_>,
    count: impl Fn(&mut T) -> &mut Option<u32>,
) -> Option<T> {
    let index = items.iter().position(|item| scope(item).covers(host, raw_path))?;
    let item = items.get_mut(index)?;
    let taken = item.clone();
    if let Some(left) = count(item) {
        *left = left.saturating_sub(1);
        if *left == 0 {
            items.remove(index);
        }
    }
    Some(taken)
}
