//! What an upstream's headers must not tell the client, and where they point.
//!
//! What the route can do natively it does (`set-cookie`, `alt-svc`, `clear-site-data`,
//! `access-control-*` out; `vary`, `x-content-type-options`, `content-security-policy` in).

use std::borrow::Cow;

use crate::{
    HeaderMap,
    bytes::are_same,
    credentials::Credentials,
    head::Request,
    location::{Ambiguous, Base},
    pairs::{any_pair, is},
    policy::Policy,
    stream::Approved,
};

const LOCATION: &[u8] = b"location";
const CONTENT_LOCATION: &[u8] = b"content-location";
const CACHE_CONTROL: &[u8] = b"cache-control";
const SURROGATE_CONTROL: &[u8] = b"surrogate-control";
const CDN_CACHE_CONTROL: &[u8] = b"cdn-cache-control";

/// The headers for the client. `None`: they may stay as they are.
pub(crate) fn for_client(
    headers: &HeaderMap,
    approved: &Approved,
    policy: &Policy,
) -> Option<HeaderMap> {
    // Nearly always nothing is to be changed, so nothing is copied before that is known.
    let is_doubled =
        |reference: &[u8]| headers.iter().filter(|(name, _)| *name == reference).nth(1).is_some();
    let edits = |name: &[u8], value: &[u8]| {
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
    let edited = headers.iter().filter_map(|(name, value)| match edits(name, value) {
        Edit::Keep => Some((name, Cow::Borrowed(value))),
        Edit::Drop => None,
        Edit::Replace(new) => Some((name, Cow::Owned(new))),
    });
    let edited: Vec<_> = edited.collect();
    let pairs: Vec<_> = edited.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    Some(HeaderMap::from_pairs(&pairs))
}

/// Whether a header that comes once or more stays as it is, whatever others there are. `false` says
/// nothing.
#[inline]
pub(crate) fn stays(name: &[u8], value: &[u8], credentials: &Credentials) -> bool {
    let is_edited = match name.len() {
        ..8 => false,
        8 => are_same(name, LOCATION),
        13 => are_same(name, CACHE_CONTROL) && !is_harmless(value),
        16 => are_same(name, CONTENT_LOCATION),
        17.. => are_same(name, SURROGATE_CONTROL) || name.ends_with(CDN_CACHE_CONTROL),
        _ => false,
    };
    let shortest = credentials.shortest_hidden();
    let is_short = name.len() < shortest && value.len() < shortest;
    !is_edited && (is_short || !(credentials.shows_in(value) || credentials.shows_in(name)))
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
        CACHE_CONTROL => make_private(value).map_or(Edit::Keep, Edit::Replace),
        // Directives for shared caches alone (RFC 9213 and its forerunner), which must not keep
        // what belongs to one user.
        SURROGATE_CONTROL => Edit::Drop,
        _ if name.ends_with(CDN_CACHE_CONTROL) => Edit::Drop,
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

/// Whether a `cache-control` stays as it is. `false` says nothing.
fn is_harmless(value: &[u8]) -> bool {
    // Of `public`, `s-maxage`, and the two that end in `-revalidate`.
    let holds_a_beginning = any_pair(value, |byte, next| {
        let (byte, next) = (byte | 0x20, next | 0x20);
        let is_pair = |first, second| is(byte, first) & is(next, second);
        is_pair(b'p', b'u') | is_pair(b's', b'-') | is_pair(b'-', b'r')
    });
    let names_private = |at: usize| {
        let name = value.get(..at).unwrap_or_default().trim_ascii_end();
        name.last_chunk::<7>().is_some_and(|name| name.eq_ignore_ascii_case(b"private"))
    };
    match holds_a_beginning {
        Some(holds) => !holds && !memchr::memchr_iter(b'=', value).any(names_private),
        None => make_private(value).is_none(),
    }
}

/// `cache-control` for answers that belong to one user. Whatever lets a shared cache keep the answer
/// to a request with credentials (RFC 9111 section 3.5), or keep all of it but some headers
/// (`private="x"`), makes way for `private` or stands beside it. `None` where nothing changes.
fn make_private(value: &[u8]) -> Option<Vec<u8>> {
    let mut is_shared = false;
    let mut may_be_shared = false;
    let mut is_private = false;
    for directive in split_directives(value) {
        let (name, has_argument) = parts(directive);
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            6 => is_shared |= is(b"public"),
            7 if is(b"private") => {
                is_shared |= has_argument;
                is_private |= !has_argument;
            }
            8 => {
                is_shared |= is(b"s-maxage");
                // What nobody may keep no shared cache keeps (RFC 9111 section 3).
                is_private |= is(b"no-store");
            }
            15 => may_be_shared |= is(b"must-revalidate"),
            16 => may_be_shared |= is(b"proxy-revalidate"),
            _ => {}
        }
    }
    if !is_shared && (!may_be_shared || is_private) {
        return None;
    }
    let mut kept: Vec<&[u8]> = vec![b"private"];
    kept.extend(split_directives(value).filter(|directive| {
        let (name, _) = parts(directive);
        let replaced: [&[u8]; 4] = [b"", b"public", b"s-maxage", b"private"];
        !replaced.iter().any(|other| name.eq_ignore_ascii_case(other))
    }));
    Some(kept.join(b", ".as_slice()))
}

/// The name of a directive, and whether it has an argument.
fn parts(directive: &[u8]) -> (&[u8], bool) {
    match directive.iter().position(|byte| *byte == b'=') {
        None => (directive, false),
        Some(end) => (directive.get(..end).unwrap_or_default().trim_ascii(), true),
    }
}

/// Splits at the commas that are not within quotes.
fn split_directives(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    value
        .split(move |byte| {
            is_quoted ^= *byte == b'"';
            *byte == b',' && !is_quoted
        })
        .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests;
