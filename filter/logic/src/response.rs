//! The response phase: what an upstream's headers must not tell the client, and where they point.
//!
//! Only streams that the gateway sent upstream are looked at. What the route can do natively it does
//! (`set-cookie`, `alt-svc`, `clear-site-data`, `access-control-*` out; `vary`,
//! `x-content-type-options`, `content-security-policy` in).

use crate::{
    Flow, HeaderMap, Host, Stream,
    location::{Ambiguous, Base},
    policy::{Location, Policy},
    refusal::Refusal,
    stream::{Approved, State},
    target::Target,
};

const LOCATION: &str = "location";
const CONTENT_LOCATION: &str = "content-location";

impl Stream {
    /// The response's headers are here: the upstream's, or those of an answer by the proxy itself.
    pub fn on_response_headers<H: Host>(&mut self, host: &H) -> Flow {
        let approved = match &self.state {
            State::Approved(approved) => approved,
            State::Waiting(_) => {
                // The proxy has answered while we waited: the callout's answer comes too late.
                self.state = State::Over;
                return Flow::Continue;
            }
            State::Open | State::Over => return Flow::Continue,
        };
        let Ok(mut headers) = host.response_headers() else {
            return self.refuse(host, &Refusal::Unavailable);
        };
        let doubled = doubled_references(&headers);
        let mut is_changed = false;
        headers.retain_mut(|(name, value)| {
            let edit = if doubled.contains(&name.as_str()) {
                Edit::Drop
            } else {
                edit(name, value, approved, &self.gateway.policy)
            };
            is_changed |= !matches!(edit, Edit::Keep);
            match edit {
                Edit::Keep => true,
                Edit::Drop => false,
                Edit::Replace(new) => {
                    *value = new;
                    true
                }
            }
        });
        if !is_changed {
            return Flow::Continue;
        }
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        match host.set_response_headers(headers.collect()) {
            Ok(()) => Flow::Continue,
            Err(_) => self.refuse(host, &Refusal::Unavailable),
        }
    }

    /// The response has trailers. None goes to the client: one could show the session id.
    pub fn on_response_trailers<H: Host>(&mut self, host: &H) -> Flow {
        match self.state {
            State::Approved(_) => match host.drop_response_trailers() {
                Ok(()) => Flow::Continue,
                Err(_) => Flow::Pause,
            },
            _ => Flow::Continue,
        }
    }
}

/// What happens to one header of the response.
enum Edit {
    Keep,
    Drop,
    Replace(Vec<u8>),
}

fn edit(name: &str, value: &[u8], approved: &Approved, policy: &Policy) -> Edit {
    let edit = match name {
        _ if name.starts_with(':') => return Edit::Keep,
        LOCATION | CONTENT_LOCATION => rewrite_reference(value, approved, policy),
        "cache-control" => make_private(value).map_or(Edit::Keep, Edit::Replace),
        // Directives for shared caches alone (RFC 9213 and its forerunner), which must not keep
        // what belongs to one user.
        "surrogate-control" => Edit::Drop,
        _ if name.ends_with("cdn-cache-control") => Edit::Drop,
        _ => Edit::Keep,
    };
    let shown = match &edit {
        Edit::Replace(new) => new.as_slice(),
        Edit::Keep | Edit::Drop => value,
    };
    let shows = |text| approved.session.shows_in(text);
    if shows(shown) || shows(name.as_bytes()) { Edit::Drop } else { edit }
}

/// The references that the response gives more than once: which one a client follows is its choice.
fn doubled_references(headers: &HeaderMap) -> Vec<&'static str> {
    let is_doubled = |reference: &&str| {
        headers.iter().filter(|(name, _)| name.as_str() == *reference).nth(1).is_some()
    };
    [LOCATION, CONTENT_LOCATION].into_iter().filter(is_doubled).collect()
}

fn rewrite_reference(value: &[u8], approved: &Approved, policy: &Policy) -> Edit {
    let Location::Under { prefix, rest } = policy.locate(&approved.path) else {
        return Edit::Drop;
    };
    let Ok(target) = Target::parse(rest, &policy.allowed_ports) else {
        return Edit::Drop;
    };
    let base = Base { prefix, target: &target, session: &approved.session, policy };
    match base.for_client(value) {
        Err(Ambiguous) => Edit::Drop,
        Ok(rewritten) if rewritten == value => Edit::Keep,
        Ok(rewritten) => Edit::Replace(rewritten),
    }
}

/// `cache-control` for answers that belong to one user. Whatever lets a shared cache keep the answer
/// to a request with credentials (RFC 9111 section 3.5), or keep all of it but some headers
/// (`private="x"`), makes way for `private` or stands beside it. `None` where nothing changes.
fn make_private(value: &[u8]) -> Option<Vec<u8>> {
    let directives = split_directives(value);
    let name = |directive: &[u8]| {
        let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.trim_ascii().to_ascii_lowercase()
    };
    let is_shared = |directive: &&[u8]| match name(directive).as_slice() {
        b"public" | b"s-maxage" | b"must-revalidate" | b"proxy-revalidate" => true,
        b"private" => directive.contains(&b'='),
        _ => false,
    };
    if !directives.iter().any(is_shared) {
        return None;
    }
    let mut kept: Vec<&[u8]> = vec![b"private"];
    let others = directives.into_iter().filter(|directive| {
        !matches!(name(directive).as_slice(), b"" | b"public" | b"s-maxage" | b"private")
    });
    kept.extend(others);
    Some(kept.join(b", ".as_slice()))
}

/// Splits at the commas that are not within quotes.
fn split_directives(value: &[u8]) -> Vec<&[u8]> {
    let mut is_quoted = false;
    value
        .split(|byte| {
            is_quoted ^= *byte == b'"';
            *byte == b',' && !is_quoted
        })
        .map(<[u8]>::trim_ascii)
        .collect()
}

#[cfg(test)]
mod tests;
