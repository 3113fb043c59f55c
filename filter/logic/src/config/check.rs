//! The checks that every setting goes through; each names the field and the reason.

use super::{
    ConfigurationError,
    bounds::{self, Bound},
};
use crate::{
    headers::is_visible_ascii,
    policy::HostPattern,
    rules::PathPrefix,
    target::{parse_host, parse_port},
};

pub(super) fn check_url(field: &str, url: &str) -> Result<(), ConfigurationError> {
    length_within(field, url.len(), bounds::URL)?;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let has_host =
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['));
    check(has_host, field, "must be an absolute URL with the scheme https or http")?;
    // It stands in a quoted string of the challenge.
    let quotable = is_visible_ascii(url.as_bytes()) && !url.contains(['"', '\\', '#']);
    check(quotable, field, "must not hold spaces, quotes, backslashes, fragments or non-ASCII text")
}

pub(super) fn check_cluster(field: &str, name: &str) -> Result<(), ConfigurationError> {
    length_within(field, name.len(), bounds::CLUSTER)?;
    check(is_visible_ascii(name.as_bytes()), field, "must hold visible ASCII characters only")
}

pub(super) fn check_authority(field: &str, authority: &str) -> Result<(), ConfigurationError> {
    length_within(field, authority.len(), bounds::AUTHORITY)?;
    let mut parts = authority.splitn(2, ':');
    let is_host = parts.next().is_some_and(|host| {
        parse_host(host.as_bytes()).is_ok() || host.parse::<std::net::Ipv4Addr>().is_ok()
    });
    let is_port = parts.next().is_none_or(|port| parse_port(port.as_bytes()).is_ok());
    check(is_host && is_port, field, "must be a host, with a port or without")
}

/// Reads a list of hosts and `*.` patterns.
pub(super) fn host_patterns(
    field: &str,
    hosts: &[String],
    length: Bound<usize>,
) -> Result<Vec<HostPattern>, ConfigurationError> {
    length_within(field, hosts.len(), length)?;
    let patterns = hosts.iter().enumerate().map(|(index, text)| {
        let field = || format!("{field}[{index}]");
        length_within(field(), text.len(), bounds::HOST)?;
        let (is_wildcard, name) =
            text.strip_prefix("*.").map_or((false, text.as_str()), |name| (true, name));
        let host = parse_host(name.as_bytes()).map_err(|error| ConfigurationError::Invalid {
            field: field(),
            reason: error.to_string(),
        })?;
        check(
            !is_wildcard || host.contains('.'),
            field(),
            "must have at least two labels after `*.`",
        )?;
        let host = host.into_owned();
        Ok(if is_wildcard { HostPattern::OneLabelUnder(host) } else { HostPattern::Exactly(host) })
    });
    patterns.collect()
}

/// Reads a list of paths that requests are compared with.
pub(super) fn path_prefixes(
    field: &str,
    paths: &[String],
    length: Bound<usize>,
) -> Result<Vec<PathPrefix>, ConfigurationError> {
    length_within(field, paths.len(), length)?;
    let prefixes = paths.iter().enumerate().map(|(index, path)| {
        let field = format!("{field}[{index}]");
        length_within(field.as_str(), path.len(), bounds::PATH)?;
        PathPrefix::parse(path)
            .map_err(|reason| ConfigurationError::Invalid { field, reason: reason.to_owned() })
    });
    prefixes.collect()
}

pub(super) fn within<T: PartialOrd + std::fmt::Display>(
    field: &str,
    value: T,
    Bound { least, most }: Bound<T>,
) -> Result<T, ConfigurationError> {
    if value < least || value > most {
        let reason = format!("must be {least} to {most}");
        return Err(ConfigurationError::Invalid { field: field.to_owned(), reason });
    }
    Ok(value)
}

pub(super) fn length_within(
    field: impl Into<String>,
    length: usize,
    Bound { least, most }: Bound<usize>,
) -> Result<(), ConfigurationError> {
    if length < least || length > most {
        let reason = format!("must have a length of {least} to {most}");
        return Err(ConfigurationError::Invalid { field: field.into(), reason });
    }
    Ok(())
}

pub(super) fn check(
    holds: bool,
    field: impl Into<String>,
    reason: &'static str,
) -> Result<(), ConfigurationError> {
    if holds {
        return Ok(());
    }
    Err(ConfigurationError::Invalid { field: field.into(), reason: reason.to_owned() })
}
