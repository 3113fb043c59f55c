//! What an upstream's headers must not tell the client, and where they point.
//!
//! What the route can do natively it does (`set-cookie`, `alt-svc`, `clear-site-data`,
//! `access-control-*` out; `vary`, `x-content-type-options`, `content-security-policy` in).

use crate::{
    HeaderMap,
    head::Request,
    location::{Ambiguous, Base},
    policy::Policy,
    stream::Approved,
};

const LOCATION: &[u8] = b"location";
const CONTENT_LOCATION: &[u8] = b"content-location";

/// The headers for the client. `None`: they may stay as they are.
pub(crate) fn for_client<'a>(
    headers: &'a HeaderMap,
    approved: &Approved,
    policy: &Policy,
) -> Option<Vec<(&'a [u8], Edited<'a>)>> {
    // Nearly always nothing is to be changed, so nothing is copied before that is known.
    let is_doubled =
        |reference: &[u8]| headers.iter().filter(|(name, _)| *name == reference).nth(1).is_some();
    let edits = |name: &[u8], value: &'a [u8]| {
        if is_reference(name) && is_doubled(name) {
            // Which one a client follows is its choice.
            Edit::Drop
        } else {
            edit(name, value, approved, policy)
        }
    };
    if headers.iter().all(|(name, value)| matches!(edits(name, value), Edit::Keep)) {
        return None;
    }
    let kept = headers.iter().filter_map(|(name, value)| match edits(name, value) {
        Edit::Keep => Some((name, Edited::Kept(value))),
        Edit::Drop => None,
        Edit::Replace(new) => Some((name, Edited::New(new))),
    });
    Some(kept.collect())
}

/// The value of a header for the client.
pub(crate) enum Edited<'a> {
    Kept(&'a [u8]),
    New(Vec<u8>),
}

impl Edited<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes,
            Self::New(bytes) => bytes,
        }
    }
}

/// What happens to one header of the response.
enum Edit {
    Keep,
    Drop,
    Replace(Vec<u8>),
}

fn is_reference(name: &[u8]) -> bool {
    name == LOCATION || name == CONTENT_LOCATION
}

fn edit(name: &[u8], value: &[u8], approved: &Approved, policy: &Policy) -> Edit {
    let edit = match name {
        [b':', ..] => return Edit::Keep,
        LOCATION | CONTENT_LOCATION => rewrite_reference(value, approved, policy),
        b"cache-control" => make_private(value).map_or(Edit::Keep, Edit::Replace),
        // Directives for shared caches alone (RFC 9213 and its forerunner), which must not keep
        // what belongs to one user.
        b"surrogate-control" => Edit::Drop,
        _ if name.ends_with(b"cdn-cache-control") => Edit::Drop,
        _ => Edit::Keep,
    };
    let shown = match &edit {
        Edit::Replace(new) => new.as_slice(),
        Edit::Keep | Edit::Drop => value,
    };
    let shows = |text| approved.credentials.shows_in(text);
    if shows(shown) || shows(name) { Edit::Drop } else { edit }
}

fn rewrite_reference(value: &[u8], approved: &Approved, policy: &Policy) -> Edit {
    let Ok(Some(request)) = Request::read(&approved.head, policy) else {
        return Edit::Drop;
    };
    let base = Base {
        prefix: request.prefix,
        target: &request.target,
        credentials: &approved.credentials,
        policy,
    };
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
