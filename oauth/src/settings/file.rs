//! The settings as they are written: names, defaults, and nothing checked yet.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Deserializer};

use super::AccessTokenFormat;

mod audit;
mod client_sources;
mod console;
pub(super) mod internal_tls;
mod keys;
pub(super) mod limits;
mod machine_credentials;
mod store;
mod telemetry;

pub(super) use audit::{Audit, AuditTo};
pub(super) use client_sources::{ClientDocuments, Registration};
pub(super) use console::Console;
pub(super) use keys::{Admin, Gateway, KeyFile, KeySource, Keys, SecretFile, Source};
pub(super) use machine_credentials::{MachineCredential, MachineCredentials};
pub(super) use store::{Engine, Store};
pub(super) use telemetry::Telemetry;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) issuer: String,
    pub(super) listen: Listen,
    #[serde(default = "default_log")]
    pub(super) log: String,
    pub(super) store: Store,
    pub(super) sealing: Keys,
    pub(super) token_tags: KeySource,
    pub(super) signing: Option<KeySource>,
    pub(super) gateway: Gateway,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) admin: Admin,
    pub(super) resource: Option<String>,
    #[serde(default)]
    pub(super) additional_resources: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) intelligencebank: IntelligenceBank,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) tokens: Tokens,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) sessions: Sessions,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) server: Server,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) audit: Audit,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) telemetry: Telemetry,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) limits: limits::Limits,
    pub(super) internal_tls: Option<internal_tls::InternalTls>,
    pub(super) development: Option<Development>,
    pub(super) clients: Vec<Client>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) console: Console,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) registration: Registration,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) client_documents: ClientDocuments,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) machine_credentials: MachineCredentials,
}

/// A section whose every line is commented out is null in YAML.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn default_log() -> String {
    "info".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) public: SocketAddr,
    pub(super) internal: SocketAddr,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct IntelligenceBank {
    pub(super) platform_hosts: Vec<String>,
    pub(super) api_hosts: Vec<String>,
    pub(super) extra_ca_file: Option<PathBuf>,
    pub(super) connect_timeout_milliseconds: u64,
    pub(super) request_timeout_milliseconds: u64,
    pub(super) maximum_response_bytes: u64,
    pub(super) login_deadline_seconds: u64,
    pub(super) poll_interval_milliseconds: u64,
    pub(super) logout_path: Option<String>,
    pub(super) propagate_trace: bool,
    pub(super) maximum_concurrent: u64,
    pub(super) maximum_concurrent_per_platform: u64,
    pub(super) circuit_failures: u64,
    pub(super) circuit_open_seconds: u64,
}

impl Default for IntelligenceBank {
    fn default() -> Self {
        Self {
            platform_hosts: vec!["*.intelligencebank.com".to_owned()],
            api_hosts: Vec::new(),
            extra_ca_file: None,
            connect_timeout_milliseconds: 5_000,
            request_timeout_milliseconds: 10_000,
            maximum_response_bytes: 256 * 1024,
            login_deadline_seconds: 300,
            poll_interval_milliseconds: 500,
            logout_path: None,
            propagate_trace: false,
            maximum_concurrent: 512,
            maximum_concurrent_per_platform: 128,
            circuit_failures: 5,
            circuit_open_seconds: 10,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tokens {
    pub(super) access_token_format: AccessTokenFormat,
    pub(super) access_token_seconds: u64,
    pub(super) refresh_token_seconds: u64,
    pub(super) code_seconds: u64,
    pub(super) refresh_grace_seconds: u64,
    pub(super) include_sid: bool,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            access_token_format: AccessTokenFormat::Opaque,
            access_token_seconds: 3_600,
            refresh_token_seconds: 30 * 24 * 3_600,
            code_seconds: 60,
            refresh_grace_seconds: 5,
            include_sid: false,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sessions {
    pub(super) refresh_window_seconds: u64,
    pub(super) default_period_hours: u64,
    pub(super) maximum_refresh_attempts: u64,
    pub(super) renewal_spacing_seconds: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            refresh_window_seconds: 300,
            default_period_hours: 24,
            maximum_refresh_attempts: 5,
            renewal_spacing_seconds: 30,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    pub(super) maximum_body_bytes: u64,
    pub(super) maximum_connections: u64,
    pub(super) maximum_header_bytes: u64,
    pub(super) header_timeout_seconds: u64,
    pub(super) body_timeout_seconds: u64,
    pub(super) write_timeout_seconds: u64,
    pub(super) idle_timeout_seconds: u64,
    pub(super) request_timeout_seconds: u64,
    pub(super) drain_seconds: u64,
    pub(super) shutdown_seconds: u64,
    pub(super) trusted_hops: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            maximum_body_bytes: 64 * 1024,
            maximum_connections: 4_096,
            maximum_header_bytes: 32 * 1024,
            header_timeout_seconds: 10,
            body_timeout_seconds: 10,
            write_timeout_seconds: 10,
            idle_timeout_seconds: 60,
            request_timeout_seconds: 30,
            drain_seconds: 0,
            shutdown_seconds: 10,
            trusted_hops: 1,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Development {
    pub(super) allow_private_addresses: bool,
    pub(super) resolve: BTreeMap<String, SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ClientType {
    Public,
    Confidential,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) name: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: ClientType,
    #[serde(default = "default_grant_types")]
    pub(super) grant_types: Vec<GrantType>,
    #[serde(default)]
    pub(super) redirect_uris: Vec<String>,
    #[serde(default = "default_scopes")]
    pub(super) scopes: Vec<String>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) secret_sha256: Option<String>,
    pub(super) jwks_file: Option<PathBuf>,
}

fn default_grant_types() -> Vec<GrantType> {
    vec![GrantType::AuthorizationCode, GrantType::RefreshToken]
}

fn default_scopes() -> Vec<String> {
    vec!["profile".to_owned()]
}
