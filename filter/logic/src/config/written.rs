//! The configuration as it is written. Unknown fields are refused, so that a misspelt one is not
//! silently without effect.
//!
//! The comments of the fields are the descriptions in the published schema and in the table of
//! docs/configuration.md; `make schema` writes both anew.

use serde::Deserialize;

#[cfg(test)]
use super::bounds;
use crate::refusal::METHODS;

/// The configuration of the ib-gateway plugin. It holds no secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) struct Configuration {
    /// Path prefixes of proxied requests, a stage prefix included. Each begins and ends with `/`.
    #[cfg_attr(test, schemars(length(min = bounds::PREFIXES.least, max = bounds::PREFIXES.most)))]
    #[cfg_attr(test, schemars(inner(length(min = bounds::PREFIX.least, max = bounds::PREFIX.most))))]
    pub(super) prefixes: Vec<String>,
    /// Hosts that may be asked for at all: exact names, or `*.` and a name for exactly one label more.
    #[cfg_attr(
        test,
        schemars(length(min = bounds::ALLOWED_HOSTS.least, max = bounds::ALLOWED_HOSTS.most))
    )]
    #[cfg_attr(test, schemars(inner(length(min = bounds::HOST.least, max = bounds::HOST.most))))]
    pub(super) allowed_hosts: Vec<String>,
    /// Ports that a target may name. A target without a port means 443.
    #[serde(default = "default_ports")]
    #[cfg_attr(test, schemars(length(min = bounds::PORTS.least, max = bounds::PORTS.most)))]
    #[cfg_attr(test, schemars(inner(range(min = bounds::PORT.least, max = bounds::PORT.most))))]
    pub(super) allowed_ports: Vec<u16>,
    /// Absolute URL of the protected resource metadata (RFC 9728), named in challenges.
    #[cfg_attr(test, schemars(url, length(min = bounds::URL.least, max = bounds::URL.most)))]
    pub(super) resource_metadata: String,
    /// The resource that tokens must be meant for (RFC 8707). A trailing slash makes no difference.
    #[cfg_attr(test, schemars(url, length(min = bounds::URL.least, max = bounds::URL.most)))]
    pub(super) resource: String,
    /// The access tokens of the OAuth service.
    #[serde(default)]
    pub(super) tokens: Tokens,
    /// How the OAuth service is asked.
    pub(super) token_service: TokenService,
    /// What one worker remembers of tokens.
    #[serde(default)]
    pub(super) cache: Cache,
    /// The revocation feed: how the gateway learns that a token or a session has ended.
    #[serde(default)]
    pub(super) revocations: Revocations,
    /// What becomes of session ids in the JSON bodies of answers.
    #[serde(default)]
    pub(super) session_ids_in_bodies: Bodies,
    /// Who asks upstreams for answers without a content coding (`accept-encoding: identity`), where
    /// bodies are searched. An encoded answer cannot be searched, and is refused.
    #[serde(default)]
    pub(super) identity_asked_by: IdentityAskedBy,
    /// Which streams get a note in filter state, for access logs and rate limits.
    #[serde(default)]
    pub(super) stream_notes: StreamNotes,
    /// Whether approved requests say whose they are, for Envoy's rate limits. Envoy's routes must take the
    /// headers off again, or the upstreams learn it.
    #[serde(default)]
    pub(super) caller_headers: CallerHeaders,
    /// Sending a request again with a newer session after the upstream has rejected the first one.
    #[serde(default)]
    pub(super) replay: Replay,
    /// Scopes that requests need. All rules that apply to a request must be met; where none applies,
    /// no scope is needed.
    #[serde(default)]
    #[cfg_attr(test, schemars(length(min = bounds::RULES.least, max = bounds::RULES.most)))]
    pub(super) rules: Vec<Rule>,
    /// Paths whose requests carry their real method and path in the body. On them and under them all
    /// rules of the host apply.
    #[serde(default = "default_tunnel_paths")]
    #[cfg_attr(
        test,
        schemars(length(min = bounds::TUNNEL_PATHS.least, max = bounds::TUNNEL_PATHS.most))
    )]
    #[cfg_attr(test, schemars(inner(length(min = bounds::PATH.least, max = bounds::PATH.most))))]
    pub(super) tunnel_paths: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) struct Tokens {
    /// The form of access tokens.
    pub(super) format: TokenFormat,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) enum TokenFormat {
    /// The service's own form, which ends in a tag that the plugin checks.
    #[default]
    Opaque,
    /// A JWT, whose signature Envoy's `jwt_authn` has checked before the plugin; or the service's own
    /// form, so that the service may change from one to the other.
    Jwt,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) struct TokenService {
    /// Envoy's name for the cluster of the service's internal port.
    #[cfg_attr(test, schemars(length(min = bounds::CLUSTER.least, max = bounds::CLUSTER.most)))]
    pub(super) cluster: String,
    /// The `:authority` of callouts: a host, with a port or without.
    #[cfg_attr(test, schemars(length(min = bounds::AUTHORITY.least, max = bounds::AUTHORITY.most)))]
    pub(super) authority: String,
    /// How long an introspection or a renewal may take.
    #[serde(default = "default_callout_timeout")]
    #[cfg_attr(
        test,
        schemars(range(min = bounds::CALLOUT_TIMEOUT.least, max = bounds::CALLOUT_TIMEOUT.most))
    )]
    pub(super) timeout_milliseconds: u64,
    /// Streams of one worker that may wait for an answer at a time. One more gets 503.
    #[serde(default = "default_maximum_waiting")]
    #[cfg_attr(test, schemars(range(min = bounds::WAITING.least, max = bounds::WAITING.most)))]
    pub(super) maximum_waiting: u32,
    /// Callouts of one worker that may be under way at a time. A request that needs one more gets 503.
    #[serde(default = "default_maximum_callouts")]
    #[cfg_attr(test, schemars(range(min = bounds::CALLOUTS.least, max = bounds::CALLOUTS.most)))]
    pub(super) maximum_callouts: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) struct Cache {
    /// Approvals that one worker keeps. Past it the least recently used goes.
    #[cfg_attr(
        test,
        schemars(range(min = bounds::CACHE_ENTRIES.least, max = bounds::CACHE_ENTRIES.most))
    )]
    pub(super) maximum_entries: usize,
    /// Memory that approvals may take on one worker, estimated.
    #[cfg_attr(
        test,
        schemars(range(min = bounds::CACHE_BYTES.least, max = bounds::CACHE_BYTES.most))
    )]
    pub(super) maximum_bytes: usize,
    /// How long an approval is kept at most. At most 60 where `revocations.enabled` is false.
    #[cfg_attr(
        test,
        schemars(range(min = bounds::CACHE_SECONDS.least, max = bounds::CACHE_SECONDS.most))
    )]
    pub(super) maximum_seconds: u64,
    /// Refusals that one worker keeps, in a bound of their own.
    #[cfg_attr(
        test,
        schemars(range(min = bounds::CACHE_ENTRIES.least, max = bounds::CACHE_ENTRIES.most))
    )]
    pub(super) maximum_refused_entries: usize,
    /// Memory that refusals may take on one worker, estimated.
    #[cfg_attr(
        test,
        schemars(range(min = bounds::CACHE_BYTES.least, max = bounds::CACHE_BYTES.most))
    )]
    pub(super) maximum_refused_bytes: usize,
    /// How long a refusal is kept. At most `cache.maximum_seconds`.
    #[cfg_attr(
        test,
        schemars(range(min = bounds::CACHE_SECONDS.least, max = bounds::CACHE_SECONDS.most))
    )]
    pub(super) refused_seconds: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            maximum_entries: 10_000,
            maximum_bytes: 32 << 20,
            maximum_seconds: 600,
            maximum_refused_entries: 2_000,
            maximum_refused_bytes: 2 << 20,
            refused_seconds: 5,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) struct Revocations {
    /// Whether the feed is read. Without it a token that has ended is served for up to
    /// `cache.maximum_seconds`.
    pub(super) enabled: bool,
    /// How long known tokens are served after the last good answer of the feed, or after their own
    /// introspection if that is later.
    #[cfg_attr(
        test,
        schemars(range(min = bounds::STALE_SECONDS.least, max = bounds::STALE_SECONDS.most))
    )]
    pub(super) maximum_stale_seconds: u64,
    /// How long the service may let a poll of the feed wait for an event.
    #[cfg_attr(
        test,
        schemars(range(min = bounds::WAIT_SECONDS.least, max = bounds::WAIT_SECONDS.most))
    )]
    pub(super) wait_seconds: u64,
}

impl Default for Revocations {
    fn default() -> Self {
        Self { enabled: true, maximum_stale_seconds: 60, wait_seconds: 25 }
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) enum Bodies {
    /// They are masked with as many bytes.
    #[default]
    Redact,
    /// Bodies go through as they are.
    Pass,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) enum IdentityAskedBy {
    /// The plugin does.
    #[default]
    Plugin,
    /// The routes to the upstreams do, by `request_headers_to_add`, which spares the plugin a call.
    Route,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) enum StreamNotes {
    /// Those that are refused get one, with the outcome.
    #[default]
    Refused,
    /// Those that are approved get one too, with the client and the hashed subject. Envoy takes some
    /// microseconds for each.
    All,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) enum CallerHeaders {
    /// They get `x-ib-gateway-client`, the client's id, and `x-ib-gateway-user`, a hash of the user.
    Set,
    /// They get neither: Envoy cannot tell one caller from another, and limits that ask for the headers
    /// limit nobody.
    #[default]
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) struct Replay {
    /// Envoy's name for the cluster by which rejected requests are sent again to the upstreams.
    #[cfg_attr(test, schemars(length(min = bounds::CLUSTER.least, max = bounds::CLUSTER.most)))]
    pub(super) cluster: String,
    /// How long the second attempt may take.
    #[cfg_attr(
        test,
        schemars(range(min = bounds::REPLAY_TIMEOUT.least, max = bounds::REPLAY_TIMEOUT.most))
    )]
    pub(super) timeout_milliseconds: u64,
    /// The largest request body that is kept. A request with a larger one is not sent again.
    #[cfg_attr(
        test,
        schemars(range(
            min = bounds::REPLAY_REQUEST_BYTES.least,
            max = bounds::REPLAY_REQUEST_BYTES.most
        ))
    )]
    pub(super) maximum_request_body_bytes: usize,
    /// The largest answer to the second attempt that is handed on. A larger one becomes a 503.
    #[cfg_attr(
        test,
        schemars(range(
            min = bounds::REPLAY_RESPONSE_BYTES.least,
            max = bounds::REPLAY_RESPONSE_BYTES.most
        ))
    )]
    pub(super) maximum_response_body_bytes: usize,
    /// The listener's `per_connection_buffer_limit_bytes` in Envoy. A larger answer cannot take the place of
    /// the rejected one: it goes out as Envoy's own, without CORS headers, and a page of another origin
    /// gets a 503.
    #[cfg_attr(
        test,
        schemars(range(
            min = bounds::REPLAY_BUFFER_BYTES.least,
            max = bounds::REPLAY_BUFFER_BYTES.most
        ))
    )]
    pub(super) buffer_limit_bytes: usize,
    /// Requests of one worker that are sent again at a time. 0: none is ever sent again.
    #[cfg_attr(test, schemars(range(min = bounds::REPLAYS.least, max = bounds::REPLAYS.most)))]
    pub(super) maximum_in_progress: u32,
}

impl Default for Replay {
    fn default() -> Self {
        Self {
            cluster: "intelligencebank_again".to_owned(),
            timeout_milliseconds: 30_000,
            maximum_request_body_bytes: 64 << 10,
            maximum_response_body_bytes: 4 << 20,
            buffer_limit_bytes: 65_536,
            maximum_in_progress: 16,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) struct Rule {
    /// Hosts that the rule is for, in the form of `allowed_hosts`. Each must be among those.
    #[cfg_attr(test, schemars(length(min = bounds::RULE_LIST.least, max = bounds::RULE_LIST.most)))]
    #[cfg_attr(test, schemars(inner(length(min = bounds::HOST.least, max = bounds::HOST.most))))]
    pub(super) hosts: Vec<String>,
    /// Methods that the rule is for. GET stands for HEAD too.
    #[serde(default = "default_methods")]
    #[cfg_attr(test, schemars(length(min = bounds::METHODS.least, max = bounds::METHODS.most)))]
    #[cfg_attr(test, schemars(extend("items" = { "type": "string", "enum": METHODS })))]
    pub(super) methods: Vec<String>,
    /// Paths that the rule is for, with all that is under them, compared by whole segments.
    #[serde(default = "default_path_prefixes")]
    #[cfg_attr(test, schemars(length(min = bounds::RULE_LIST.least, max = bounds::RULE_LIST.most)))]
    #[cfg_attr(test, schemars(inner(length(min = bounds::PATH.least, max = bounds::PATH.most))))]
    pub(super) path_prefixes: Vec<String>,
    /// Scopes that the token must have, all of them, with one space between two (RFC 6749 section 3.3).
    #[cfg_attr(test, schemars(length(min = bounds::SCOPE.least, max = bounds::SCOPE.most)))]
    pub(super) scope: String,
}

fn default_ports() -> Vec<u16> {
    vec![crate::target::DEFAULT_PORT]
}

const fn default_callout_timeout() -> u64 {
    2_000
}

const fn default_maximum_waiting() -> u32 {
    1_024
}

const fn default_maximum_callouts() -> u32 {
    256
}

fn default_methods() -> Vec<String> {
    METHODS.map(str::to_owned).to_vec()
}

fn default_path_prefixes() -> Vec<String> {
    vec!["/".to_owned()]
}

fn default_tunnel_paths() -> Vec<String> {
    vec!["/api/json".to_owned()]
}
