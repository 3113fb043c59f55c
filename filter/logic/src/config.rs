//! The plugin's configuration: JSON in, a [`Policy`] out, or the field that is wrong and why.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    headers::is_visible_ascii,
    policy::{CacheLimits, HostPattern, Policy, TokenService},
    target::{parse_host, parse_port},
};

/// The longest configuration that is read, in bytes.
const LONGEST_CONFIGURATION: usize = 1 << 20;
/// The longest URL or path prefix in the configuration, in bytes.
const LONGEST_TEXT: usize = 2048;

/// The configuration as it is written. Unknown fields are refused, so that a misspelt one is not
/// silently without effect.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Path prefixes of proxied requests, a stage prefix included. Each begins and ends with `/`.
    prefixes: Vec<String>,
    /// Hosts that may be asked for at all: exact names, or `*.` and a name for exactly one label
    /// more.
    allowed_hosts: Vec<String>,
    /// Ports that a target may name.
    #[serde(default = "default_ports")]
    allowed_ports: Vec<u16>,
    /// Absolute URL of the protected resource metadata (RFC 9728), for challenges.
    resource_metadata: String,
    /// The resource that tokens must be meant for (RFC 8707).
    resource: String,
    token_service: TokenServiceConfiguration,
    #[serde(default)]
    cache: CacheConfiguration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenServiceConfiguration {
    /// The proxy's name for the service's cluster.
    cluster: String,
    /// The `:authority` of callouts.
    authority: String,
    /// How long a callout may take, in milliseconds: 1 to 60000.
    #[serde(default = "default_timeout_milliseconds")]
    timeout_milliseconds: u64,
    /// How many streams of one worker may wait for an answer: 1 to 65536. One more gets a 503.
    ///
    /// It bounds streams, not callouts: the callout of a stream that went away runs on until its
    /// own timeout and counts no more here. The circuit breaker of Envoy's cluster bounds those.
    #[serde(default = "default_maximum_waiting")]
    maximum_waiting: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CacheConfiguration {
    /// Approvals that one worker keeps: 1 to 1000000.
    maximum_entries: usize,
    /// Memory that they may take on one worker, in bytes, estimated: 65536 to 1 GiB.
    maximum_bytes: usize,
    /// How long an approval is kept at most, in seconds: 1 to 3600.
    maximum_seconds: u64,
    /// Refusals that one worker keeps: 1 to 1000000.
    maximum_refused_entries: usize,
    /// Memory that they may take on one worker, in bytes, estimated: 65536 to 1 GiB.
    maximum_refused_bytes: usize,
    /// How long a refusal is kept, in seconds: 1 to `maximum_seconds`.
    refused_seconds: u64,
}

impl Default for CacheConfiguration {
    fn default() -> Self {
        Self {
            maximum_entries: 10_000,
            maximum_bytes: 32 << 20,
            maximum_seconds: 60,
            maximum_refused_entries: 2_000,
            maximum_refused_bytes: 2 << 20,
            refused_seconds: 5,
        }
    }
}

fn default_ports() -> Vec<u16> {
    vec![crate::target::DEFAULT_PORT]
}

const fn default_timeout_milliseconds() -> u64 {
    2_000
}

const fn default_maximum_waiting() -> u32 {
    1_024
}

/// Reads and checks a configuration.
pub(crate) fn read(json: &[u8]) -> Result<Policy, ConfigurationError> {
    if json.len() > LONGEST_CONFIGURATION {
        return Err(ConfigurationError::TooLong { bytes: LONGEST_CONFIGURATION });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let configuration: Configuration = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| ConfigurationError::Malformed {
            field: error.path().to_string(),
            reason: error.inner().to_string(),
        })?;
    deserializer.end().map_err(|error| ConfigurationError::Malformed {
        field: ".".to_owned(),
        reason: error.to_string(),
    })?;
    compile(configuration)
}

fn compile(configuration: Configuration) -> Result<Policy, ConfigurationError> {
    let Configuration {
        prefixes,
        allowed_hosts,
        allowed_ports,
        resource_metadata,
        resource,
        token_service,
        cache,
    } = configuration;
    length_within("allowed_ports", allowed_ports.len(), 1, 64)?;
    check(!allowed_ports.contains(&0), "allowed_ports", "must not hold port 0")?;
    check_url("resource_metadata", &resource_metadata)?;
    check_url("resource", &resource)?;
    Ok(Policy {
        prefixes: compile_prefixes(prefixes)?,
        allowed_hosts: compile_hosts(&allowed_hosts)?,
        allowed_ports,
        resource_metadata,
        resource,
        token_service: compile_token_service(token_service)?,
        cache: compile_cache(&cache)?,
    })
}

fn compile_prefixes(mut prefixes: Vec<String>) -> Result<Vec<String>, ConfigurationError> {
    length_within("prefixes", prefixes.len(), 1, 64)?;
    for (index, prefix) in prefixes.iter().enumerate() {
        let field = || format!("prefixes[{index}]");
        length_within(field(), prefix.len(), 3, LONGEST_TEXT)?;
        check(
            prefix.starts_with('/') && prefix.ends_with('/'),
            field(),
            "must begin and end with a slash",
        )?;
        let plain = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
                })
        };
        let inner = prefix.trim_start_matches('/').strip_suffix('/').unwrap_or_default();
        check(
            !prefix.starts_with("//") && inner.split('/').all(plain),
            field(),
            "must be segments of letters, digits, `-`, `_`, `.` and `~`",
        )?;
    }
    // The longest first, so that of two nested prefixes the inner one is found.
    prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
    Ok(prefixes)
}

fn compile_hosts(hosts: &[String]) -> Result<Vec<HostPattern>, ConfigurationError> {
    length_within("allowed_hosts", hosts.len(), 1, 10_000)?;
    let compiled = hosts.iter().enumerate().map(|(index, text)| {
        let (is_wildcard, name) =
            text.strip_prefix("*.").map_or((false, text.as_str()), |name| (true, name));
        let host = parse_host(name.as_bytes()).map_err(|error| ConfigurationError::Invalid {
            field: format!("allowed_hosts[{index}]"),
            reason: error.to_string(),
        })?;
        check(
            !is_wildcard || host.contains('.'),
            format!("allowed_hosts[{index}]"),
            "must have at least two labels after `*.`",
        )?;
        let host = host.into_owned();
        Ok(if is_wildcard { HostPattern::OneLabelUnder(host) } else { HostPattern::Exactly(host) })
    });
    compiled.collect()
}

fn compile_token_service(
    service: TokenServiceConfiguration,
) -> Result<TokenService, ConfigurationError> {
    let TokenServiceConfiguration { cluster, authority, timeout_milliseconds, maximum_waiting } =
        service;
    length_within("token_service.cluster", cluster.len(), 1, 255)?;
    check(
        is_visible_ascii(cluster.as_bytes()),
        "token_service.cluster",
        "must hold visible ASCII characters only",
    )?;
    let mut parts = authority.splitn(2, ':');
    let is_host = parts.next().is_some_and(|host| {
        parse_host(host.as_bytes()).is_ok() || host.parse::<std::net::Ipv4Addr>().is_ok()
    });
    let is_port = parts.next().is_none_or(|port| parse_port(port.as_bytes()).is_ok());
    check(is_host && is_port, "token_service.authority", "must be a host, with a port or without")?;
    within("token_service.timeout_milliseconds", timeout_milliseconds, 1, 60_000)?;
    within("token_service.maximum_waiting", maximum_waiting, 1, 65_536)?;
    let timeout = Duration::from_millis(timeout_milliseconds);
    Ok(TokenService { cluster, authority, timeout, maximum_waiting })
}

fn compile_cache(cache: &CacheConfiguration) -> Result<CacheLimits, ConfigurationError> {
    within("cache.maximum_entries", cache.maximum_entries, 1, 1_000_000)?;
    within("cache.maximum_bytes", cache.maximum_bytes, 1 << 16, 1 << 30)?;
    within("cache.maximum_seconds", cache.maximum_seconds, 1, 3_600)?;
    within("cache.maximum_refused_entries", cache.maximum_refused_entries, 1, 1_000_000)?;
    within("cache.maximum_refused_bytes", cache.maximum_refused_bytes, 1 << 16, 1 << 30)?;
    within("cache.refused_seconds", cache.refused_seconds, 1, cache.maximum_seconds)?;
    Ok(CacheLimits {
        maximum_entries: cache.maximum_entries,
        maximum_bytes: cache.maximum_bytes,
        maximum_seconds: cache.maximum_seconds,
        maximum_refused_entries: cache.maximum_refused_entries,
        maximum_refused_bytes: cache.maximum_refused_bytes,
        refused_seconds: cache.refused_seconds,
    })
}

fn check_url(field: &str, url: &str) -> Result<(), ConfigurationError> {
    length_within(field, url.len(), 1, LONGEST_TEXT)?;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let has_host =
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['));
    check(has_host, field, "must be an absolute URL with the scheme https or http")?;
    // It stands in a quoted string of the challenge.
    let quotable = is_visible_ascii(url.as_bytes()) && !url.contains(['"', '\\', '#']);
    check(quotable, field, "must not hold spaces, quotes, backslashes, fragments or non-ASCII text")
}

fn within<T: PartialOrd + std::fmt::Display>(
    field: &str,
    value: T,
    least: T,
    most: T,
) -> Result<(), ConfigurationError> {
    if value < least || value > most {
        let reason = format!("must be {least} to {most}");
        return Err(ConfigurationError::Invalid { field: field.to_owned(), reason });
    }
    Ok(())
}

fn length_within(
    field: impl Into<String>,
    length: usize,
    least: usize,
    most: usize,
) -> Result<(), ConfigurationError> {
    if length < least || length > most {
        let reason = format!("must have a length of {least} to {most}");
        return Err(ConfigurationError::Invalid { field: field.into(), reason });
    }
    Ok(())
}

fn check(
    holds: bool,
    field: impl Into<String>,
    reason: &'static str,
) -> Result<(), ConfigurationError> {
    if holds {
        return Ok(());
    }
    Err(ConfigurationError::Invalid { field: field.into(), reason: reason.to_owned() })
}

/// Why a configuration is refused. The configuration holds no secrets, so its values may be named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// Longer than any configuration should be.
    #[error("the configuration is longer than {bytes} bytes")]
    TooLong {
        /// The bound, in bytes.
        bytes: usize,
    },
    /// Not JSON, an unknown or missing field, or a value of the wrong type.
    #[error("the configuration is malformed at `{field}`: {reason}")]
    Malformed {
        /// Path of the field, `.` for the whole.
        field: String,
        /// What the parser says.
        reason: String,
    },
    /// A value that cannot be worked with.
    #[error("`{field}` is not acceptable: {reason}")]
    Invalid {
        /// Path of the field.
        field: String,
        /// What is wrong with its value.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
