//! Reads the target of a proxied request: `<host>[:port]/<rest>?<query>`, after the prefix.
//!
//! The rest and the query go upstream byte for byte, so nothing here normalises them: what could
//! reach another place than it names is refused. Empty segments (`//`) are ordinary bytes and pass.

use std::borrow::Cow;

use crate::{
    pairs::{any_pair, is, is_above},
    percent::decode_fully,
    query::has_session_key,
};

/// The port of `https`, which a target need not name.
pub(crate) const DEFAULT_PORT: u16 = 443;
/// The longest host name in its text form (RFC 1035 section 2.3.4, without the trailing dot).
const LONGEST_HOST: usize = 253;
/// The longest label of a host name (RFC 1035 section 2.3.4).
const LONGEST_LABEL: usize = 63;

/// Where a proxied request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The host, in lower case and without a trailing dot.
    pub(crate) host: Cow<'a, str>,
    /// The port, named or not.
    pub(crate) port: u16,
    /// Path and query, the client's own bytes; `/` where the client gave the host alone.
    pub(crate) path_and_query: &'a [u8],
}

impl<'a> Target<'a> {
    /// Reads what follows the prefix.
    pub(crate) fn parse(rest: &'a [u8], allowed_ports: &[u16]) -> Result<Self, TargetError> {
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
        let (authority, path_and_query) = match end.and_then(|end| rest.split_at_checked(end)) {
            None => (rest, b"/".as_slice()),
            Some((authority, after)) if after.starts_with(b"/") => (authority, after),
            // `/proxy/HOST?x=/v1`: whoever splits at the slash reads another host than we do.
            Some(([], _)) => return Err(TargetError::Missing),
            Some(_) => return Err(TargetError::HostEnd),
        };
        let (host, port) = parse_authority(authority)?;
        if !allowed_ports.contains(&port) {
            return Err(TargetError::Port);
        }
        check_path_and_query(path_and_query)?;
        Ok(Self { host, port, path_and_query })
    }

    /// Reads a target that is written as nearly all are: with a path that means one thing to every reader,
    /// and without a port. `None` says nothing. Whether the host is one, the caller must know.
    pub(crate) fn usual(rest: &'a [u8]) -> Option<Self> {
        let (host, path_and_query) = rest.split_at_checked(memchr::memchr(b'/', rest)?)?;
        let host = Cow::Borrowed(std::str::from_utf8(host).ok()?);
        is_plain(path_and_query).then_some(Self { host, port: DEFAULT_PORT, path_and_query })
    }

    /// The path without its query.
    pub(crate) fn path(&self) -> &'a [u8] {
        self.path_and_query.split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    /// The value of `:authority` for this target: the port is named where it is not the default.
    pub(crate) fn authority(&self) -> Cow<'_, str> {
        if self.port == DEFAULT_PORT {
            Cow::Borrowed(&self.host)
        } else {
            Cow::Owned(format!("{}:{}", self.host, self.port))
        }
    }
}

/// Reads `host[:port]`; the port is that of `https` where none is named.
fn parse_authority(authority: &[u8]) -> Result<(Cow<'_, str>, u16), TargetError> {
    if authority.is_empty() {
        return Err(TargetError::Missing);
    }
    if [b"http:".as_slice(), b"https:"].iter().any(|it| authority.eq_ignore_ascii_case(it)) {
        return Err(TargetError::Scheme);
    }
    if authority.contains(&b'@') {
        return Err(TargetError::UserInformation);
    }
    if authority.starts_with(b"[") {
        return Err(TargetError::IpLiteral);
    }
    let mut parts = authority.splitn(2, |byte| *byte == b':');
    let host = parse_host(parts.next().unwrap_or_default())?;
    let port = parts.next().map_or(Ok(DEFAULT_PORT), parse_port)?;
    Ok((host, port))
}

/// Reads a port: decimal digits without leading zeros.
pub(crate) fn parse_port(digits: &[u8]) -> Result<u16, TargetError> {
    let plain = !digits.starts_with(b"0") && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| plain)
        .and_then(|digits| digits.parse().ok())
        .ok_or(TargetError::Port)
}

/// Reads a host name: letters, digits and hyphens in labels (RFC 1123 section 2.1), returned in
/// lower case and without a trailing dot.
///
/// An IP address is refused in every notation that a resolver takes for one (`127.0.0.1`, `127.1`,
/// `2130706433`, `0x7f.1`, `0177.0.0.1`): the last label of a name never begins with a digit.
pub(crate) fn parse_host(host: &[u8]) -> Result<Cow<'_, str>, TargetError> {
    match plain_host(host) {
        Some(host) => Ok(Cow::Borrowed(host)),
        None => judged_host(host),
    }
}

/// Reads a host name that is written in any way, and says what is wrong with it.
fn judged_host(host: &[u8]) -> Result<Cow<'_, str>, TargetError> {
    if host.is_empty() {
        return Err(TargetError::Missing);
    }
    if host.contains(&b'%') {
        return Err(TargetError::PercentInHost);
    }
    if host.contains(&b'\\') {
        return Err(TargetError::Backslash);
    }
    if host.iter().any(|byte| is_control_or_space(*byte)) {
        return Err(TargetError::Control);
    }
    if !host.is_ascii() {
        return Err(TargetError::NotAscii);
    }
    let host = host.strip_suffix(b".").unwrap_or(host);
    let labels_are_good = host.split(|byte| *byte == b'.').all(is_label);
    if host.len() > LONGEST_HOST || !labels_are_good {
        return Err(TargetError::HostName);
    }
    let last_label = host.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    if last_label.first().is_none_or(u8::is_ascii_digit) {
        return Err(TargetError::IpLiteral);
    }
    let host = std::str::from_utf8(host).map_err(|_| TargetError::NotAscii)?;
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Ok(Cow::Owned(host.to_ascii_lowercase()))
    } else {
        Ok(Cow::Borrowed(host))
    }
}

/// A host as nearly all are written, in one pass: a good name in lower case, without a dot at its end.
/// `None` says nothing about another.
fn plain_host(host: &[u8]) -> Option<&str> {
    let mut label_length = 0_usize;
    let mut label_begins_with_digit = true;
    let mut previous = b'.';
    for &byte in host {
        match byte {
            b'.' if !matches!(previous, b'.' | b'-') => label_length = 0,
            b'-' if label_length > 0 => label_length = label_length.wrapping_add(1),
            b'a'..=b'z' | b'0'..=b'9' => {
                if label_length == 0 {
                    label_begins_with_digit = byte.is_ascii_digit();
                }
                label_length = label_length.wrapping_add(1);
            }
            _ => return None,
        }
        if label_length > LONGEST_LABEL {
            return None;
        }
        previous = byte;
    }
    let is_good =
        host.len() <= LONGEST_HOST && !matches!(previous, b'.' | b'-') && !label_begins_with_digit;
    if is_good { std::str::from_utf8(host).ok() } else { None }
}

fn is_label(label: &[u8]) -> bool {
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        && !label.starts_with(b"-")
        && !label.ends_with(b"-")
}

fn check_path_and_query(path_and_query: &[u8]) -> Result<(), TargetError> {
    if is_plain(path_and_query) { Ok(()) } else { judge_path_and_query(path_and_query) }
}

fn judge_path_and_query(path_and_query: &[u8]) -> Result<(), TargetError> {
    if path_and_query.iter().any(|byte| is_control_or_space(*byte)) {
        return Err(TargetError::Control);
    }
    if path_and_query.contains(&b'#') {
        return Err(TargetError::Fragment);
    }
    let mut parts = path_and_query.splitn(2, |byte| *byte == b'?');
    let path = parts.next().unwrap_or_default();
    // In a query a backslash is data: browsers send it there as it is.
    if path.contains(&b'\\') {
        return Err(TargetError::Backslash);
    }
    if has_dot_segment(path) {
        return Err(TargetError::DotSegment);
    }
    if parts.next().is_some_and(has_session_key) {
        return Err(TargetError::SessionKey);
    }
    Ok(())
}

/// Whether path and query are as nearly all are, in one pass: nothing in them can mean another thing to
/// another reader, no segment begins with a dot, and no key of the query could be read as `sid`. `false`
/// says nothing.
fn is_plain(path_and_query: &[u8]) -> bool {
    holds_nothing_special(path_and_query) || is_plain_byte_by_byte(path_and_query)
}

/// The same for those that hold nothing that could matter anywhere, written so that the compiler makes
/// vector instructions of it. `false` says nothing.
fn holds_nothing_special(text: &[u8]) -> bool {
    let found = any_pair(text, |byte, next| {
        let begins_key = is(byte, b'?') | is(byte, b'&') | is(byte, b';');
        let is_sid_like = is(next | 0x20, b's') | is(next, b'+');
        let is_dot_segment_like = is(byte, b'/') & is(next, b'.');
        is_special(byte) | (begins_key & is_sid_like) | is_dot_segment_like
    });
    found == Some(false) && text.last().is_none_or(|last| is_special(*last) == 0)
}

/// No visible ASCII character, or one that may mean another thing to another reader.
#[inline(always)]
const fn is_special(byte: u8) -> u8 {
    let is_not_visible_ascii = is_above(byte.wrapping_sub(b'!'), b'~' - b'!');
    is_not_visible_ascii | is(byte, b'%') | is(byte, b'\\') | is(byte, b'#')
}

fn is_plain_byte_by_byte(path_and_query: &[u8]) -> bool {
    let mut bytes = path_and_query.iter();
    let mut begins_segment = false;
    let is_plain_path = bytes.by_ref().take_while(|byte| **byte != b'?').all(|byte| {
        let is_plain = match byte {
            b'%' | b'\\' | b'#' => false,
            b'.' => !begins_segment,
            byte => !is_control_or_space(*byte) && byte.is_ascii(),
        };
        begins_segment = *byte == b'/';
        is_plain
    });
    let mut begins_key = true;
    let mut is_key = true;
    is_plain_path
        && bytes.all(|byte| {
            let is_plain = match byte {
                b'#' => false,
                b's' | b'S' | b'+' => !begins_key,
                // What is encoded in a value is data. (One of a key is looked at more closely.)
                b'%' => !is_key,
                byte => !is_control_or_space(*byte) && byte.is_ascii(),
            };
            begins_key = matches!(byte, b'&' | b';' | b'?');
            is_key = begins_key || (is_key && *byte != b'=');
            is_plain
        })
}

const fn is_control_or_space(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7F
}

/// Whether a segment of the path is `.` or `..` for any server behind the gateway, however it is
/// encoded and whatever parameters follow it.
fn has_dot_segment(path: &[u8]) -> bool {
    if path.iter().all(|byte| byte.is_ascii() && *byte != b'%') {
        splits_into_dot_segment(path)
    } else {
        splits_into_dot_segment(&decode_fully(path))
    }
}

fn splits_into_dot_segment(path: &[u8]) -> bool {
    path.split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| {
        let name = segment.split(|byte| matches!(byte, b';' | b'?' | b'#' | 0)).next();
        matches!(name.unwrap_or_default().trim_ascii(), b"." | b"..")
    })
}

/// What is wrong with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("Missing proxy path")]
    Missing,
    #[error("The proxy path begins with the host, without a scheme")]
    Scheme,
    #[error("A slash must follow the host")]
    HostEnd,
    #[error("The host must not hold user information")]
    UserInformation,
    #[error("The host must not hold percent signs")]
    PercentInHost,
    #[error("The host must be written in ASCII, international names in their xn-- form")]
    NotAscii,
    #[error("The host must be a name, not an IP address")]
    IpLiteral,
    #[error("The host is not a valid host name")]
    HostName,
    #[error("The port is not allowed")]
    Port,
    #[error("The target must not hold control characters or spaces")]
    Control,
    #[error("The host and the path must not hold backslashes")]
    Backslash,
    #[error("The target must not hold a fragment")]
    Fragment,
    #[error("The path must not hold dot segments")]
    DotSegment,
    #[error("The query must not hold a sid parameter")]
    SessionKey,
}

#[cfg(test)]
mod tests;
