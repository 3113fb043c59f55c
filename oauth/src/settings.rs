//! The settings of the service, checked: whoever holds a [`Settings`] need not look again.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::pki_types::ServerName;

use crate::{
    audit::AuditSettings,
    clients::ConfiguredClients,
    hosts::HostList,
    live::Live,
    sealing::Sealer,
    tokens::{SecretHash, SigningKeys, TagKeys},
};

mod check;
mod client_sources;
mod file;
mod keys;
mod load;
pub(crate) mod machine_credentials;
mod secrets;
mod store;
mod strict;
#[cfg(test)]
mod tests;

pub(crate) use client_sources::{DocumentSettings, RegistrationSettings};
pub(crate) use keys::{AccessTokenFormat, KeyFiles, KeyNames, KeySettings, StoredKeySettings};
use load::Environment;
pub(crate) use machine_credentials::{MachineCredential, MachineCredentialSettings};
pub(crate) use store::{
    DynamodbSettings, EngineSettings, NetworkBounds, RedbSettings, RedisSettings, StoreSettings,
};

/// A setting that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, such as `tokens.code_seconds`, or the file when it cannot be read.
    pub field: String,
    /// What is wrong with it. It never quotes a secret.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.reason)
    }
}

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError(
    /// At least one.
    pub Vec<Problem>,
);

impl fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the settings cannot be used")?;
        self.0.iter().try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}

/// The checked settings.
#[derive(Debug)]
pub struct Settings {
    pub(crate) issuer: Issuer,
    pub(crate) public_address: SocketAddr,
    pub(crate) internal_address: SocketAddr,
    pub(crate) log: String,
    pub(crate) store: StoreSettings,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) token_tags: Live<TagKeys>,
    pub(crate) signing: Live<SigningKeys>,
    pub(crate) gateway_credentials: Live<Vec<SecretHash>>,
    pub(crate) keys: KeySettings,
    /// Of operators; without any there are no endpoints for them.
    pub(crate) admin_credentials: Live<Vec<SecretHash>>,
    pub(crate) resources: Resources,
    pub(crate) intelligencebank: IntelligenceBankSettings,
    pub(crate) tokens: TokenSettings,
    pub(crate) sessions: SessionSettings,
    pub(crate) server: ServerSettings,
    pub(crate) limits: LimitSettings,
    /// TLS on the internal port. `None`: it speaks plain HTTP.
    pub(crate) internal_tls: Option<InternalTlsSettings>,
    pub(crate) audit: AuditSettings,
    pub(crate) telemetry: TelemetrySettings,
    pub(crate) clients: ConfiguredClients,
    /// Whether the console is served. Its client is then among the clients.
    pub(crate) console_enabled: bool,
    /// `None`: clients cannot register themselves.
    pub(crate) registration: Option<RegistrationSettings>,
    /// `None`: a client id that is a URL is not known.
    pub(crate) client_documents: Option<DocumentSettings>,
    /// Without any there is nothing for clients that act for themselves.
    pub(crate) machine_credentials: MachineCredentialSettings,
    /// Whether there is a `development` section.
    pub(crate) in_development: bool,
    warnings: Vec<Problem>,
}

impl Settings {
    /// Reads the file at `path`, lays the process environment over it (`IB_OAUTH__SECTION__FIELD`),
    /// and checks everything, the files that it names and the variables of machine credentials included.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] with every problem that was found.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let file = load::environment(std::env::vars_os())
            .and_then(|environment| load::load(path, environment))
            .map_err(|problem| SettingsError(vec![problem]))?;
        let mut settings = check::check(file, &Environment::of(std::env::vars_os()))?;
        settings.keys.settings_file = path.to_owned();
        Ok(settings)
    }

    /// The settings in `text`, for tests.
    #[cfg(test)]
    pub(crate) fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Self, SettingsError> {
        let owned =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let file = load::parse(text, owned).map_err(|problem| SettingsError(vec![problem]))?;
        let variables = environment.iter().map(|(name, value)| (name.into(), value.into()));
        check::check(file, &Environment::of(variables))
    }

    /// What can be used and still deserves a look: exposed secrets, and what is for development alone.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

/// The issuer: a URL that may end in a stage path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issuer {
    /// As clients compare it, without a trailing slash.
    pub(crate) url: String,
    /// The stage: empty, or such as `/dev`.
    pub(crate) path: String,
    /// Scheme, host and port.
    pub(crate) origin: String,
}

impl Issuer {
    /// Whether browsers reach it by https.
    pub(crate) fn is_secure(&self) -> bool {
        self.origin.starts_with("https:")
    }
}

/// The resources that tokens may be bound to (RFC 8707).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resources {
    /// The gateway's own proxy URL: the audience of every token that asks for no other.
    pub(crate) default: String,
    /// Others, exactly as they may be asked for.
    pub(crate) additional: Vec<String>,
    issuer: Issuer,
}

impl Resources {
    /// The audience for a `resource` that was asked for. The proxy URL, everything below it and the
    /// issuer itself are one resource, the gateway, so they have one audience (RFC 8707 section 2:
    /// the audience may be a more general URI). `None` is `invalid_target`.
    pub(crate) fn audience(&self, asked: &str) -> Option<&str> {
        let ours = self.default.trim_end_matches('/');
        let below = asked.strip_prefix(ours).is_some_and(|rest| {
            rest.is_empty() || (rest.starts_with('/') && !rest.contains(['#', '?', '\\']))
        });
        if below || asked.trim_end_matches('/') == self.issuer.url {
            return Some(&self.default);
        }
        self.additional.iter().find(|resource| *resource == asked).map(String::as_str)
    }

    /// The path of the gateway's own resource, without a trailing slash, such as `/dev/proxy`.
    pub(crate) fn path(&self) -> &str {
        self.default.trim_end_matches('/').strip_prefix(&self.issuer.origin).unwrap_or_default()
    }
}

/// How IntelligenceBank is reached.
#[derive(Debug)]
pub(crate) struct IntelligenceBankSettings {
    pub(crate) platform_hosts: HostList,
    /// Hosts that an `apiV3url` may name: the platform hosts and more.
    pub(crate) api_hosts: HostList,
    /// PEM certificates that are trusted besides the public ones.
    pub(crate) extra_ca_pem: Option<Vec<u8>>,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) maximum_response_bytes: usize,
    pub(crate) login_deadline_seconds: u64,
    pub(crate) poll_interval: Duration,
    /// Where a platform ends a session, from the host on; IntelligenceBank documents none.
    pub(crate) logout_path: Option<String>,
    /// Whether its requests carry the trace that they belong to (`traceparent`).
    pub(crate) propagate_trace: bool,
    pub(crate) bounds: UpstreamBounds,
    /// Development only.
    pub(crate) allow_private_addresses: bool,
    /// Development only: addresses that are not looked up.
    pub(crate) resolve: BTreeMap<String, SocketAddr>,
}

/// What keeps one platform, or all of them, from taking the service with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UpstreamBounds {
    /// Most requests under way.
    pub(crate) concurrent: usize,
    pub(crate) concurrent_per_platform: usize,
    /// Failures in a row that open a platform's circuit.
    pub(crate) failures: u64,
    /// How long it stays open.
    pub(crate) open: Duration,
}

/// How long codes and tokens live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenSettings {
    pub(crate) access_token_format: AccessTokenFormat,
    pub(crate) access_token_seconds: u64,
    pub(crate) refresh_token_seconds: u64,
    pub(crate) code_seconds: u64,
    pub(crate) refresh_grace_seconds: u64,
    /// Whether `/token` also discloses the live session id, as the old bridge did.
    pub(crate) include_sid: bool,
}

/// How sessions are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionSettings {
    pub(crate) refresh_window_seconds: u64,
    pub(crate) default_period_hours: u64,
    /// Readings without anything newer after which a session is no longer renewed.
    pub(crate) maximum_refresh_attempts: u64,
    /// Least time between two of them.
    pub(crate) renewal_spacing_seconds: u64,
}

/// Bounds of the HTTP servers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerSettings {
    pub(crate) maximum_body_bytes: usize,
    pub(crate) maximum_connections: usize,
    /// What the request line and the header fields may have together.
    pub(crate) maximum_header_bytes: usize,
    /// From the first byte of a request to the end of its header fields.
    pub(crate) header_timeout: Duration,
    /// From the end of the header fields to the end of the body.
    pub(crate) body_timeout: Duration,
    /// How long a peer may leave an answer, or the rest of one, unread.
    pub(crate) write_timeout: Duration,
    /// How long a connection may stay open without a request.
    pub(crate) idle_timeout: Duration,
    pub(crate) request_timeout: Duration,
    /// How long the service goes on after it was asked to stop, so that others hear of it.
    pub(crate) drain: Duration,
    pub(crate) shutdown: Duration,
    /// How many proxies in front append to `X-Forwarded-For`. 0: the peer is the client.
    pub(crate) trusted_hops: usize,
}

/// TLS on the internal port. The files are read again when they change.
#[derive(Debug, Clone)]
pub(crate) struct InternalTlsSettings {
    pub(crate) certificate_file: PathBuf,
    pub(crate) key_file: PathBuf,
    /// Who vouches for clients.
    pub(crate) client_ca_file: PathBuf,
    /// Names of which a client's certificate must have one; none: every certificate of the CA is good.
    pub(crate) client_names: Vec<ServerName<'static>>,
}

/// How often something may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateSettings {
    pub(crate) per_minute: NonZeroU32,
    /// How many at once.
    pub(crate) burst: NonZeroU32,
}

/// The limits of one endpoint. `None` is no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quotas {
    pub(crate) address: Option<RateSettings>,
    pub(crate) client: Option<RateSettings>,
    pub(crate) platform: Option<RateSettings>,
}

/// What keeps one caller from taking the service from the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitSettings {
    pub(crate) login: Quotas,
    pub(crate) poll: Quotas,
    pub(crate) token: Quotas,
    pub(crate) introspect: Quotas,
    pub(crate) revoke: Quotas,
    pub(crate) register: Quotas,
    /// Failed client authentications of one address.
    pub(crate) failed_authentication: Option<RateSettings>,
    pub(crate) pending_logins: PendingSettings,
    /// Most addresses, clients or platforms that one limit keeps apart.
    pub(crate) maximum_keys: usize,
}

/// Most logins that wait for their person.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingSettings {
    pub(crate) total: usize,
    pub(crate) address: usize,
    pub(crate) platform: usize,
}

/// Where traces go.
#[derive(Debug, Clone)]
pub(crate) struct TelemetrySettings {
    /// The base URL of a collector, without a trailing slash. Without one there are no traces.
    pub(crate) otlp_endpoint: Option<String>,
    /// The share of traces that is kept of those that begin here; 0 to 1.
    pub(crate) sample: f64,
}
