//! What proves one generation of a session at an upstream: its hosts, and the headers to inject there.
//!
//! An answer of the token service is checked here before it is used: what it injects becomes part
//! of requests, so names and values are held to what a header may be.

use std::rc::Rc;

use ib_contract::{Secret, Upstream};

use crate::{
    bytes::are_same,
    header_names::{Name, is_alike},
    headers::{is_lower_case_token, is_visible_ascii},
    percent::decode_fully,
    redact::{Needles, SHORTEST_NEEDLE},
    target::parse_host,
};

/// The longest id of a session, in bytes.
const LONGEST_ID: usize = 256;
/// Hosts that one session may have.
const MOST_HOSTS: usize = 64;
/// Headers that one session may inject.
const MOST_HEADERS: usize = 16;
/// The longest injected value, in bytes.
const LONGEST_VALUE: usize = 8192;

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

/// One generation of a session.
pub(crate) struct Credentials {
    generation: u64,
    hosts: Vec<String>,
    headers: Vec<(Vec<u8>, Secret)>,
    /// No client's header of these names goes upstream anyway.
    injects_only_hidden: bool,
    /// The values that prove this generation.
    own: Vec<Secret>,
    /// What no answer may show: those, and the ones of the generation before.
    hidden: Vec<Secret>,
    /// The length of the shortest of them, in bytes.
    shortest_hidden: usize,
    needles: Rc<Needles>,
}

impl Credentials {
    /// Checks and takes what an answer says of a session; `previous` is the generation before.
    pub(crate) fn from_answer(
        upstream: &Upstream,
        previous: Option<&Self>,
    ) -> Result<Self, MalformedGrant> {
        Self::check(upstream)?;
        let own: Vec<Secret> = upstream.headers.values().flat_map(hidden_parts).collect();
        let known = previous.map(|previous| previous.own.as_slice()).unwrap_or_default();
        // This worker may never have seen the generation before; the service has.
        let told = upstream.previous_headers.values().take(MOST_HEADERS);
        let told = told.filter(|value| value.expose().len() <= LONGEST_VALUE);
        let before = known.iter().cloned().chain(told.flat_map(hidden_parts));
        let hidden: Vec<Secret> = own.iter().cloned().chain(before).collect();
        let needles = Needles::new(hidden.iter().map(|secret| secret.expose().as_bytes()));
        let headers = upstream.headers.iter();
        let is_hidden = |name: &String| {
            // A name with `_` may be taken for one that is left to the route, and so is not hidden.
            matches!(Name::of(name.as_bytes()), Name::Hidden | Name::Authorization)
                && !name.contains('_')
        };
        let lengths = hidden.iter().map(|hidden| hidden.expose().len());
        Ok(Self {
            generation: upstream.generation,
            hosts: upstream.hosts.clone(),
            headers: headers.map(|(name, value)| (name.clone().into(), value.clone())).collect(),
            injects_only_hidden: upstream.headers.keys().all(is_hidden),
            own,
            shortest_hidden: lengths.min().unwrap_or(usize::MAX),
            hidden,
            needles: Rc::new(needles),
        })
    }

    /// Whether an answer may be used.
    pub(crate) fn check(upstream: &Upstream) -> Result<(), MalformedGrant> {
        if upstream.hosts.len() > MOST_HOSTS || upstream.headers.len() > MOST_HEADERS {
            return Err(MalformedGrant::TooMany);
        }
        if upstream.session.is_empty() || upstream.session.len() > LONGEST_ID {
            return Err(MalformedGrant::Id);
        }
        let is_canonical = |host: &String| parse_host(host.as_bytes()).is_ok_and(|it| it == *host);
        if !upstream.hosts.iter().all(is_canonical) {
            return Err(MalformedGrant::Host);
        }
        upstream.headers.iter().try_for_each(|(name, value)| check_header(name, value.expose()))
    }

    /// Rises with every renewal.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the session may be used for a host in lower case.
    pub(crate) fn covers(&self, host: &[u8]) -> bool {
        self.hosts.iter().any(|other| are_same(other.as_bytes(), host))
    }

    /// The headers to inject: names in lower case, values in the clear.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_slice(), value.expose().as_bytes()))
    }

    /// Whether the session injects the header `name`, in lower case, or one that a server of the
    /// CGI family takes for it: those read `-` and `_` as the same.
    pub(crate) fn injects(&self, name: &[u8]) -> bool {
        self.headers.iter().any(|(other, _)| is_alike(other, name))
    }

    /// Whether no client's header that the session injects, or one that is taken for it, goes upstream
    /// anyway.
    pub(crate) fn injects_only_hidden(&self) -> bool {
        self.injects_only_hidden
    }

    /// Whether the session injects exactly the header `name`.
    pub(crate) fn sets(&self, name: &[u8]) -> bool {
        self.headers.iter().any(|(other, _)| other == name)
    }

    /// What bodies are searched for.
    pub(crate) fn needles(&self) -> Rc<Needles> {
        Rc::clone(&self.needles)
    }

    /// The length of the shortest value that no answer may show, in bytes: a shorter text shows none.
    pub(crate) fn shortest_hidden(&self) -> usize {
        self.shortest_hidden
    }

    /// Whether a text shows one of the injected values, of this generation or the one before, plain or
    /// percent-encoded and in any case: who changes the case may change it back. Of a value such as
    /// `bearer <token>`, also the token alone.
    pub(crate) fn shows_in(&self, text: &[u8]) -> bool {
        // Nothing that is decoded gets longer.
        text.len() >= self.shortest_hidden
            && (self.shows_plainly_in(text)
                || (text.contains(&b'%') && self.shows_plainly_in(&decode_fully(text))))
    }

    fn shows_plainly_in(&self, text: &[u8]) -> bool {
        let short = self.hidden.iter().map(|hidden| hidden.expose().as_bytes());
        let mut short = short.filter(|hidden| hidden.len() < SHORTEST_NEEDLE);
        self.needles.are_plainly_in(text) || short.any(|hidden| text.eq_ignore_ascii_case(hidden))
    }

    /// An estimate of the memory that the credentials take, in bytes.
    pub(crate) fn size(&self) -> usize {
        let hosts = self.hosts.iter().map(String::len);
        let headers = self.headers().map(|(name, value)| name.len().saturating_add(value.len()));
        let hidden = self.hidden.iter().map(|hidden| hidden.expose().len());
        // Every string has a header of its own, and the allocator adds to each.
        hosts
            .chain(headers)
            .chain(hidden)
            .fold(128_usize, |sum, length| sum.saturating_add(length).saturating_add(64))
            .saturating_add(self.needles.size())
    }
}

/// An injected value, and what follows its last space if it has one: a token after its scheme.
fn hidden_parts(value: &Secret) -> impl Iterator<Item = Secret> {
    let token = value.expose().rsplit_once(' ').map(|(_, token)| Secret::new(token));
    [Some(value.clone()), token].into_iter().flatten()
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
    #[error("the id of a session is empty or too long")]
    Id,
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
