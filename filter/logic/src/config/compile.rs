//! From the configuration as it is written to a [`Policy`], field by field.

use std::time::Duration;

use super::{
    ConfigurationError, bounds,
    check::{
        check, check_authority, check_cluster, check_url, host_patterns, length_within,
        path_prefixes, within,
    },
    written,
};
use crate::{
    policy::{
        BodyMode, CacheLimits, HostPattern, IdentityAskedBy, NoteMode, Policy, Replay,
        RevocationFeed, TokenFormat, TokenService,
    },
    refusal::METHODS,
    rules::{Rule, Rules, is_scope},
};

pub(super) fn compile(configuration: written::Configuration) -> Result<Policy, ConfigurationError> {
    let written::Configuration {
        prefixes,
        allowed_hosts,
        allowed_ports,
        resource_metadata,
        resource,
        tokens,
        token_service,
        cache,
        revocations,
        session_ids_in_bodies,
        identity_asked_by,
        stream_notes,
        caller_headers,
        replay,
        rules,
        tunnel_paths,
    } = configuration;
    length_within("allowed_ports", allowed_ports.len(), bounds::PORTS)?;
    for (index, port) in allowed_ports.iter().enumerate() {
        within(&format!("allowed_ports[{index}]"), *port, bounds::PORT)?;
    }
    check_url("resource_metadata", &resource_metadata)?;
    check_url("resource", &resource)?;
    let allowed_hosts = host_patterns("allowed_hosts", &allowed_hosts, bounds::ALLOWED_HOSTS)?;
    let rules = compile_rules(rules, &allowed_hosts)?;
    let tunnels = path_prefixes("tunnel_paths", &tunnel_paths, bounds::TUNNEL_PATHS)?;
    let cache = compile_cache(&cache)?;
    check(
        revocations.enabled || cache.maximum_seconds <= bounds::CACHE_SECONDS_WITHOUT_FEED,
        "cache.maximum_seconds",
        "must be at most 60 where `revocations.enabled` is false",
    )?;
    Ok(Policy {
        prefixes: compile_prefixes(prefixes)?,
        allowed_hosts,
        allowed_ports,
        resource_metadata,
        resource,
        token_format: match tokens.format {
            written::TokenFormat::Opaque => TokenFormat::Opaque,
            written::TokenFormat::Jwt => TokenFormat::Jwt,
        },
        token_service: compile_token_service(token_service)?,
        cache,
        revocations: compile_revocations(&revocations)?,
        bodies: match session_ids_in_bodies {
            written::Bodies::Redact => BodyMode::Redact,
            written::Bodies::Pass => BodyMode::Pass,
        },
        identity: match identity_asked_by {
            written::IdentityAskedBy::Plugin => IdentityAskedBy::Plugin,
            written::IdentityAskedBy::Route => IdentityAskedBy::Route,
        },
        notes: match stream_notes {
            written::StreamNotes::Refused => NoteMode::Refused,
            written::StreamNotes::All => NoteMode::All,
        },
        names_callers: match caller_headers {
            written::CallerHeaders::Set => true,
            written::CallerHeaders::None => false,
        },
        replay: compile_replay(replay)?,
        rules: Rules::new(rules, tunnels),
    })
}

fn compile_prefixes(mut prefixes: Vec<String>) -> Result<Vec<String>, ConfigurationError> {
    length_within("prefixes", prefixes.len(), bounds::PREFIXES)?;
    for (index, prefix) in prefixes.iter().enumerate() {
        let field = || format!("prefixes[{index}]");
        length_within(field(), prefix.len(), bounds::PREFIX)?;
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

fn compile_token_service(
    service: written::TokenService,
) -> Result<TokenService, ConfigurationError> {
    let written::TokenService {
        cluster,
        authority,
        timeout_milliseconds,
        maximum_waiting,
        maximum_callouts,
    } = service;
    check_cluster("token_service.cluster", &cluster)?;
    check_authority("token_service.authority", &authority)?;
    let milliseconds = within(
        "token_service.timeout_milliseconds",
        timeout_milliseconds,
        bounds::CALLOUT_TIMEOUT,
    )?;
    within("token_service.maximum_waiting", maximum_waiting, bounds::WAITING)?;
    within("token_service.maximum_callouts", maximum_callouts, bounds::CALLOUTS)?;
    let timeout = Duration::from_millis(milliseconds);
    Ok(TokenService { cluster, authority, timeout, maximum_waiting, maximum_callouts })
}

fn compile_cache(cache: &written::Cache) -> Result<CacheLimits, ConfigurationError> {
    let entries = |field, value| within(field, value, bounds::CACHE_ENTRIES);
    let bytes = |field, value| within(field, value, bounds::CACHE_BYTES);
    let seconds = |field, value| within(field, value, bounds::CACHE_SECONDS);
    let limits = CacheLimits {
        maximum_entries: entries("cache.maximum_entries", cache.maximum_entries)?,
        maximum_bytes: bytes("cache.maximum_bytes", cache.maximum_bytes)?,
        maximum_seconds: seconds("cache.maximum_seconds", cache.maximum_seconds)?,
        maximum_refused_entries: entries(
            "cache.maximum_refused_entries",
            cache.maximum_refused_entries,
        )?,
        maximum_refused_bytes: bytes("cache.maximum_refused_bytes", cache.maximum_refused_bytes)?,
        refused_seconds: seconds("cache.refused_seconds", cache.refused_seconds)?,
    };
    check(
        limits.refused_seconds <= limits.maximum_seconds,
        "cache.refused_seconds",
        "must be at most `cache.maximum_seconds`",
    )?;
    Ok(limits)
}

/// The feed's settings are checked also where the feed is not read: a value that waits to be switched
/// on is a good one.
fn compile_revocations(
    revocations: &written::Revocations,
) -> Result<Option<RevocationFeed>, ConfigurationError> {
    let written::Revocations { enabled, maximum_stale_seconds, wait_seconds } = *revocations;
    within("revocations.maximum_stale_seconds", maximum_stale_seconds, bounds::STALE_SECONDS)?;
    within("revocations.wait_seconds", wait_seconds, bounds::WAIT_SECONDS)?;
    let maximum_stale_milliseconds = maximum_stale_seconds.saturating_mul(1_000);
    Ok(enabled.then_some(RevocationFeed { maximum_stale_milliseconds, wait_seconds }))
}

fn compile_replay(replay: written::Replay) -> Result<Replay, ConfigurationError> {
    check_cluster("replay.cluster", &replay.cluster)?;
    let milliseconds =
        within("replay.timeout_milliseconds", replay.timeout_milliseconds, bounds::REPLAY_TIMEOUT)?;
    Ok(Replay {
        cluster: replay.cluster,
        timeout: Duration::from_millis(milliseconds),
        maximum_request_bytes: within(
            "replay.maximum_request_body_bytes",
            replay.maximum_request_body_bytes,
            bounds::REPLAY_REQUEST_BYTES,
        )?,
        maximum_response_bytes: within(
            "replay.maximum_response_body_bytes",
            replay.maximum_response_body_bytes,
            bounds::REPLAY_RESPONSE_BYTES,
        )?,
        buffer_limit_bytes: within(
            "replay.buffer_limit_bytes",
            replay.buffer_limit_bytes,
            bounds::REPLAY_BUFFER_BYTES,
        )?,
        maximum_in_progress: within(
            "replay.maximum_in_progress",
            replay.maximum_in_progress,
            bounds::REPLAYS,
        )?,
    })
}

fn compile_rules(
    rules: Vec<written::Rule>,
    allowed_hosts: &[HostPattern],
) -> Result<Vec<Rule>, ConfigurationError> {
    length_within("rules", rules.len(), bounds::RULES)?;
    let rules = rules.into_iter().enumerate().map(|(index, rule)| {
        let field = |name: &str| format!("rules[{index}].{name}");
        let hosts = host_patterns(&field("hosts"), &rule.hosts, bounds::RULE_LIST)?;
        for (place, host) in hosts.iter().enumerate() {
            check(
                allowed_hosts.iter().any(|allowed| allowed.overlaps(host)),
                format!("rules[{index}].hosts[{place}]"),
                "must be among `allowed_hosts`: it protects nothing as it is",
            )?;
        }
        length_within(field("methods"), rule.methods.len(), bounds::METHODS)?;
        for (place, method) in rule.methods.iter().enumerate() {
            if !METHODS.contains(&method.as_str()) {
                return Err(ConfigurationError::Invalid {
                    field: format!("rules[{index}].methods[{place}]"),
                    reason: format!("must be one of {}", METHODS.join(", ")),
                });
            }
        }
        let prefixes =
            path_prefixes(&field("path_prefixes"), &rule.path_prefixes, bounds::RULE_LIST)?;
        length_within(field("scope"), rule.scope.len(), bounds::SCOPE)?;
        check(
            is_scope(&rule.scope),
            field("scope"),
            "must be scopes with one space between two, without quotes and backslashes",
        )?;
        Ok(Rule::new(hosts, rule.methods, prefixes, &rule.scope))
    });
    rules.collect()
}
