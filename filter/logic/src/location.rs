//! Where a response points: `Location` and `Content-Location`, as the client must read them.
//!
//! A reference to a host of the session comes back under the proxy prefix; any other stays as it is.
//! Both lose their `sid`. One that browsers read differently than it is written is not passed on.
//! References are resolved as RFC 3986 section 5 says, on bytes, with what browsers do besides: a
//! backslash is a slash, and `%2e` is a dot. (The `url` crate would do it too; its tables of
//! international names make up half of a plugin and are of no use here.)

use crate::{
    credentials::Credentials,
    policy::Policy,
    query::without_session_keys,
    target::{DEFAULT_PORT, Target, parse_host, parse_port},
};

/// What references of a response are relative to.
pub(crate) struct Base<'a> {
    /// The prefix that the request was under; it begins and ends with `/`.
    pub(crate) prefix: &'a str,
    pub(crate) target: &'a Target<'a>,
    pub(crate) credentials: &'a Credentials,
    pub(crate) policy: &'a Policy,
}

impl Base<'_> {
    /// The reference for the client.
    pub(crate) fn for_client(&self, reference: &[u8]) -> Result<Vec<u8>, Ambiguous> {
        let reference = trim(reference);
        if reference.iter().any(u8::is_ascii_control) {
            return Err(Ambiguous);
        }
        let (rest, fragment) = split_before(reference, b'#');
        let (hierarchy, query) = split_before(rest, b'?');
        let mut written = match self.resolve(hierarchy)? {
            Some(resolved) => self.under_prefix(&resolved),
            None => hierarchy.to_vec(),
        };
        // A reference without path and query is one to the same document, query included.
        let query = match query {
            [] if hierarchy.is_empty() => split_before(self.target.path_and_query, b'?').1,
            query => query,
        };
        if let [mark, query @ ..] = query
            && let Some(query) = without_session_keys(query)
        {
            written.push(*mark);
            written.extend(query);
        }
        written.extend(fragment);
        Ok(written)
    }

    fn under_prefix(&self, resolved: &Resolved) -> Vec<u8> {
        let mut written = [self.prefix.as_bytes(), resolved.host.as_bytes()].concat();
        if resolved.port != DEFAULT_PORT {
            written.extend(format!(":{}", resolved.port).into_bytes());
        }
        written.extend(&resolved.path);
        written
    }

    /// The place that a reference names, if it is on a host of the session.
    fn resolve(&self, hierarchy: &[u8]) -> Result<Option<Resolved>, Ambiguous> {
        let (scheme, rest) = split_scheme(hierarchy);
        let scheme_port = match scheme {
            None => DEFAULT_PORT,
            Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => DEFAULT_PORT,
            Some(scheme) if scheme.eq_ignore_ascii_case(b"http") => 80,
            Some(_) => return Ok(None),
        };
        let rest: Vec<u8> =
            rest.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
        if let Some(named) = rest.strip_prefix(b"//") {
            return Ok(self.resolve_authority(named, scheme_port));
        }
        if scheme.is_some() {
            return Err(Ambiguous);
        }
        let base_path = split_before(self.target.path_and_query, b'?').0;
        let path = match rest.as_slice() {
            [] => base_path.to_vec(),
            [b'/', ..] => without_dot_segments(&rest),
            _ => {
                let directory = base_path.rsplitn(2, |byte| *byte == b'/').nth(1);
                without_dot_segments(&[directory.unwrap_or_default(), b"/", &rest].concat())
            }
        };
        let host = self.target.host.clone().into_owned();
        Ok(Some(Resolved { host, port: self.target.port, path }))
    }

    fn resolve_authority(&self, named: &[u8], scheme_port: u16) -> Option<Resolved> {
        let (authority, path) = split_before(named, b'/');
        let host_and_port = authority.rsplit(|byte| *byte == b'@').next()?;
        let mut parts = host_and_port.splitn(2, |byte| *byte == b':');
        let host = parse_host(parts.next()?).ok()?;
        let port = match parts.next() {
            None | Some([]) => DEFAULT_PORT,
            Some(digits) => match parse_port(digits).ok()? {
                port if port == scheme_port => DEFAULT_PORT,
                port => port,
            },
        };
        let is_ours = self.credentials.covers(host.as_bytes())
            && self.policy.allows_host(&host)
            && self.policy.allowed_ports.contains(&port);
        let path = if path.is_empty() { b"/".to_vec() } else { without_dot_segments(path) };
        is_ours.then(|| Resolved { host: host.into_owned(), port, path })
    }
}

/// Browsers read the reference differently than it is written: they remove tabs and line ends
/// anywhere in it, and `https:/x` is a path to them or a host, by the page that they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ambiguous;

/// A place on a host of the session.
struct Resolved {
    host: String,
    port: u16,
    path: Vec<u8>,
}

/// The scheme of a reference, if it has one, and what follows its colon.
fn split_scheme(hierarchy: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let end = hierarchy.iter().position(|byte| matches!(byte, b':' | b'/' | b'\\'));
    match end.and_then(|end| hierarchy.split_at_checked(end)) {
        Some((scheme @ [first, ..], [b':', rest @ ..])) if first.is_ascii_alphabetic() => {
            (Some(scheme), rest)
        }
        _ => (None, hierarchy),
    }
}

/// Removes dot segments (RFC 3986 section 5.2.4) from a path that begins with a slash.
fn without_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut ends_in_directory = false;
    for segment in path.split(|byte| *byte == b'/').skip(1) {
        let dots = segment.to_ascii_lowercase();
        ends_in_directory = match dots.as_slice() {
            b"." | b"%2e" => true,
            b".." | b".%2e" | b"%2e." | b"%2e%2e" => {
                segments.pop();
                true
            }
            _ => {
                segments.push(segment);
                false
            }
        };
    }
    if ends_in_directory {
        segments.push(b"");
    }
    segments.iter().flat_map(|segment| [b"/".as_slice(), segment]).flatten().copied().collect()
}

/// Splits before the first `mark`; the second part begins with it, or is empty.
fn split_before(bytes: &[u8], mark: u8) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == mark).unwrap_or(bytes.len());
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

/// Without the spaces and control characters around it, which browsers do not count either.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [0..=b' ', rest @ ..] | [rest @ .., 0..=b' '] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests;
