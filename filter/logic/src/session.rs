//! What a good token grants: sessions, each with its hosts and the headers that prove it there.
//!
//! An answer of the token service is checked here before it is used: what it injects becomes part
//! of requests, so names and values are held to what a header may be.

use std::rc::Rc;

use ib_contract::{ActiveToken, Secret, Upstream};

use crate::{
    Timestamp,
    headers::{is_lower_case_token, is_visible_ascii},
    percent::decode_fully,
    target::parse_host,
};

/// Sessions that one token may have.
const MOST_SESSIONS: usize = 16;
/// Hosts that one session may have.
const MOST_HOSTS: usize = 64;
/// Headers that one session may inject.
const MOST_HEADERS: usize = 16;
/// The longest injected value, in bytes.
const LONGEST_VALUE: usize = 8192;

/// The shortest value that is searched for within other text, in bytes. A shorter one would be found
/// by accident; no session id is as short.
const SHORTEST_SEARCHED: usize = 8;

/// Headers that no session may set: they frame the message, name its target, or are the proxy's.
const NEVER_INJECTED: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// What a token grants.
pub(crate) struct Grant {
    sessions: Vec<Rc<Session>>,
}

impl Grant {
    /// Checks the sessions of an answer that came in at `now`.
    pub(crate) fn from_answer(token: ActiveToken, now: Timestamp) -> Result<Self, MalformedGrant> {
        if token.upstreams.len() > MOST_SESSIONS {
            return Err(MalformedGrant::TooMany);
        }
        let mut sessions: Vec<Rc<Session>> = Vec::with_capacity(token.upstreams.len());
        for upstream in token.upstreams {
            let session = Session::from_answer(upstream, now)?;
            let overlaps =
                sessions.iter().any(|other| session.hosts.iter().any(|host| other.covers(host)));
            if overlaps {
                return Err(MalformedGrant::OverlappingHosts);
            }
            sessions.push(Rc::new(session));
        }
        Ok(Self { sessions })
    }

    /// The session for a host in lower case.
    pub(crate) fn session_for(&self, host: &str) -> Option<&Rc<Session>> {
        self.sessions.iter().find(|session| session.covers(host))
    }

    /// An estimate of the memory that the grant takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.sessions.iter().fold(0, |sum, session| sum.saturating_add(session.size()))
    }
}

/// One session at an upstream.
pub(crate) struct Session {
    hosts: Vec<String>,
    headers: Vec<(String, Secret)>,
    /// What no answer may show.
    hidden: Vec<Secret>,
    ends_at: Timestamp,
    refresh_limit_exceeded: bool,
}

impl Session {
    fn from_answer(upstream: Upstream, now: Timestamp) -> Result<Self, MalformedGrant> {
        if upstream.hosts.len() > MOST_HOSTS || upstream.headers.len() > MOST_HEADERS {
            return Err(MalformedGrant::TooMany);
        }
        let is_canonical = |host: &String| parse_host(host.as_bytes()).is_ok_and(|it| it == *host);
        if !upstream.hosts.iter().all(is_canonical) {
            return Err(MalformedGrant::Host);
        }
        for (name, value) in &upstream.headers {
            check_header(name, value.expose())?;
        }
        Ok(Self {
            hosts: upstream.hosts,
            hidden: upstream.headers.values().flat_map(hidden_parts).collect(),
            headers: upstream.headers.into_iter().collect(),
            ends_at: now.plus_seconds(upstream.expires_in),
            refresh_limit_exceeded: upstream.refresh_limit_exceeded,
        })
    }

    /// Whether the session may be used for a host in lower case.
    pub(crate) fn covers(&self, host: &str) -> bool {
        self.hosts.iter().any(|other| other == host)
    }

    /// The headers to inject: names in lower case, values in the clear.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.expose().as_bytes()))
    }

    /// Whether the session injects the header `name`, in lower case, or one that a server of the
    /// CGI family takes for it: those read `-` and `_` as the same.
    pub(crate) fn injects(&self, name: &str) -> bool {
        self.headers.iter().any(|(other, _)| is_alike(other, name))
    }

    /// Whether the session's time has run out.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.ends_at
    }

    /// Whether the attempts to renew it had run out.
    pub(crate) fn refresh_limit_exceeded(&self) -> bool {
        self.refresh_limit_exceeded
    }

    /// Whether a text shows one of the injected values, plain or percent-encoded and in any case: who
    /// changes the case may change it back. Of a value such as `bearer <token>`, also the token alone.
    pub(crate) fn shows_in(&self, text: &[u8]) -> bool {
        self.shows_plainly_in(text)
            || (text.contains(&b'%') && self.shows_plainly_in(&decode_fully(text)))
    }

    fn shows_plainly_in(&self, text: &[u8]) -> bool {
        self.hidden.iter().map(|hidden| hidden.expose().as_bytes()).any(|hidden| {
            if hidden.len() < SHORTEST_SEARCHED {
                text.eq_ignore_ascii_case(hidden)
            } else {
                text.windows(hidden.len()).any(|part| part.eq_ignore_ascii_case(hidden))
            }
        })
    }

    fn size(&self) -> usize {
        let hosts = self.hosts.iter().map(String::len);
        let headers = self.headers().map(|(name, value)| name.len().saturating_add(value.len()));
        let hidden = self.hidden.iter().map(|hidden| hidden.expose().len());
        // Every string has a header of its own, and the allocator adds to each.
        hosts
            .chain(headers)
            .chain(hidden)
            .fold(128, |sum, length| sum.saturating_add(length).saturating_add(64))
    }
}

/// An injected value, and what follows its last space if it has one: a token after its scheme.
fn hidden_parts(value: &Secret) -> impl Iterator<Item = Secret> {
    let token = value.expose().rsplit_once(' ').map(|(_, token)| Secret::new(token));
    [Some(value.clone()), token].into_iter().flatten()
}

fn is_alike(one: &str, other: &str) -> bool {
    let hyphenated = |byte| if byte == b'_' { b'-' } else { byte };
    one.bytes().map(hyphenated).eq(other.bytes().map(hyphenated))
}

fn check_header(name: &str, value: &str) -> Result<(), MalformedGrant> {
    let is_proxys = name.starts_with("x-envoy-") || name.starts_with("x-forwarded-");
    if !is_lower_case_token(name) || NEVER_INJECTED.contains(&name) || is_proxys {
        return Err(MalformedGrant::HeaderName);
    }
    let is_text =
        value.split(' ').all(|word| !word.is_empty() && is_visible_ascii(word.as_bytes()));
    if !is_text || value.len() > LONGEST_VALUE {
        return Err(MalformedGrant::HeaderValue);
    }
    Ok(())
}

/// Why an active answer cannot be used. The fault is the service's, never the client's; the text
/// quotes nothing of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MalformedGrant {
    #[error("more sessions, hosts or headers than a token can have")]
    TooMany,
    #[error("a host of a session is not a host name in lower case")]
    Host,
    #[error("two sessions name the same host")]
    OverlappingHosts,
    #[error("a session injects a header that it may not")]
    HeaderName,
    #[error("a session injects a value that no header can have")]
    HeaderValue,
}

#[cfg(test)]
mod tests;
