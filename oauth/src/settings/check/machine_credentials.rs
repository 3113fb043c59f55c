//! Checking the credentials for upstreams that want a token obtained with keys.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ib_contract::Secret;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Problems, secrets};
use crate::{
    hosts::{HostList, is_host},
    settings::{
        Environment,
        file::{self, ClientType, GrantType},
        machine_credentials::{MachineCredential, MachineCredentialSettings, UPSTREAM_SCOPE},
    },
};

const SECTION: &str = "machine_credentials";
/// The variable that stands before `refresh_buffer_minutes`.
const BUFFER_VARIABLE: &str = "TOKEN_REFRESH_BUFFER_MINUTES";
const BUFFER_FIELD: &str = "machine_credentials.refresh_buffer_minutes";
/// Longest buffer, in minutes: a year. One that is longer than a token lives is cut when that is known.
const LONGEST_BUFFER: u64 = 366 * 24 * 60;
/// Most credentials.
const MOST: usize = 64;
/// Longest name of a credential, in characters.
const LONGEST_NAME: usize = 64;
/// Longest key, in bytes.
const LONGEST_KEY: usize = 4 * 1024;
/// Bytes of the hash that tells records of one name apart.
const RECORD_HASH_BYTES: usize = 12;

pub(super) fn check(
    file: file::MachineCredentials,
    environment: &Environment,
    platform_hosts: &HostList,
    found: &mut Problems,
) -> MachineCredentialSettings {
    if file.credentials.is_empty() {
        return MachineCredentialSettings::default();
    }
    if file.credentials.len() > MOST {
        found.add(format!("{SECTION}.credentials"), format!("has more than {MOST} entries"));
    }
    let (minutes, field) = buffer(file.refresh_buffer_minutes, environment, found);
    let mut credentials: Vec<MachineCredential> = Vec::new();
    for (position, written) in file.credentials.into_iter().enumerate() {
        let field = format!("{SECTION}.credentials[{position}]");
        if credentials.iter().any(|other| other.name == written.name) {
            found.add(format!("{field}.name"), "is the name of an earlier credential");
        }
        credentials.extend(credential(&written, &field, environment, platform_hosts, found));
    }
    MachineCredentialSettings {
        refresh_buffer_seconds: minutes.saturating_mul(60),
        refresh_buffer_field: field,
        rejection_pause_seconds: found.range(
            &format!("{SECTION}.rejection_pause_seconds"),
            file.rejection_pause_seconds,
            1..=3_600,
        ),
        credentials,
    }
}

/// The buffer in minutes, and the setting that it comes from.
fn buffer(written: u64, environment: &Environment, found: &mut Problems) -> (u64, &'static str) {
    let Some(text) = environment.get(BUFFER_VARIABLE) else {
        return (found.range(BUFFER_FIELD, written, 0..=LONGEST_BUFFER), BUFFER_FIELD);
    };
    // The standard parser also accepts a plus sign.
    let minutes = text.expose().parse().ok().filter(|_| !text.expose().starts_with('+'));
    let minutes = minutes.unwrap_or_else(|| {
        found.add(BUFFER_VARIABLE, "must be a whole number of minutes, and not negative");
        0
    });
    (found.range(BUFFER_VARIABLE, minutes, 0..=LONGEST_BUFFER), BUFFER_VARIABLE)
}

fn credential(
    written: &file::MachineCredential,
    field: &str,
    environment: &Environment,
    platform_hosts: &HostList,
    found: &mut Problems,
) -> Option<MachineCredential> {
    let name = &written.name;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(plain) {
        let reason = format!("must be 1 to {LONGEST_NAME} lower-case letters, digits and hyphens");
        found.add(format!("{field}.name"), reason);
        return None;
    }
    let prefix = written
        .environment_prefix
        .clone()
        .unwrap_or_else(|| name.to_ascii_uppercase().replace('-', "_"));
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if prefix.is_empty() || !prefix.bytes().all(is_name) {
        let reason = "must be capital letters, digits and underscores";
        found.add(format!("{field}.environment_prefix"), reason);
        return None;
    }
    let source = Source { field, prefix: &prefix, environment };
    let url = source.url(written.api_url.as_deref(), found);
    let api_key = source.key("api_key", written.api_key_file.as_deref(), found);
    let integrator_id = source.key("integrator_id", written.integrator_id_file.as_deref(), found);
    let secret_key = source.key("secret_key", written.secret_key_file.as_deref(), found);
    let ((api_url, host), api_key) = (url?, api_key?);
    let (integrator_id, secret_key) = (integrator_id?, secret_key?);
    if platform_hosts.allows(&host) {
        let reason = "names a host of IntelligenceBank, where session ids go and no tokens";
        found.add(format!("{field}.api_url"), reason);
        return None;
    }
    let parts = [api_url.as_str(), api_key.expose(), integrator_id.expose(), secret_key.expose()];
    Some(MachineCredential {
        record: record(name, &parts),
        scope: format!("{UPSTREAM_SCOPE}{name}"),
        name: name.clone(),
        api_url,
        host,
        api_key,
        integrator_id,
        secret_key,
    })
}

/// The name of a credential's record. Keys are long and random, and half a hash says nothing of them.
fn record(name: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize();
    let short = hash.get(..RECORD_HASH_BYTES).unwrap_or_default();
    format!("{name}.{}", URL_SAFE_NO_PAD.encode(short))
}

/// Where the values of one credential come from.
struct Source<'s> {
    field: &'s str,
    prefix: &'s str,
    environment: &'s Environment,
}

impl Source<'_> {
    fn variable(&self, name: &str) -> String {
        format!("{}_{}", self.prefix, name.to_ascii_uppercase())
    }

    /// The base URL and its host.
    fn url(&self, written: Option<&str>, found: &mut Problems) -> Option<(String, String)> {
        let variable = self.variable("api_url");
        let (text, field) = match (self.environment.get(&variable), written) {
            (Some(text), _) => (text.expose().to_owned(), variable),
            (None, Some(text)) => (text.to_owned(), format!("{}.api_url", self.field)),
            (None, None) => {
                let reason = format!("is needed, here or in the variable {variable}");
                found.add(format!("{}.api_url", self.field), reason);
                return None;
            }
        };
        let base = text.trim_end_matches('/');
        let host = Url::parse(base).ok().and_then(|url| {
            let host = url.host_str().filter(|host| is_host(host))?.to_owned();
            let path = url.path().trim_end_matches('/');
            // What is left of the URL is what was written: no user, port, query, fragment or escape.
            (format!("https://{host}{path}") == base).then_some(host)
        });
        if host.is_none() {
            let reason = "must be an https URL in its normal form: a lower-case host name, no port, \
                          user, query or fragment";
            found.add(field, reason);
        }
        host.map(|host| (base.to_owned(), host))
    }

    /// A key: from its variable, or from the file.
    fn key(&self, name: &str, file: Option<&Path>, found: &mut Problems) -> Option<Secret> {
        let variable = self.variable(name);
        let field = format!("{}.{name}_file", self.field);
        let (key, field) = match (self.environment.get(&variable), file) {
            (Some(key), _) => (key.clone(), variable),
            (None, Some(path)) => {
                found.exposed(&field, path);
                match secrets::password(path) {
                    Ok(key) => (key, field),
                    Err(reason) => {
                        found.add(field, reason);
                        return None;
                    }
                }
            }
            (None, None) => {
                found.add(field, format!("is needed, or the variable {variable}"));
                return None;
            }
        };
        let text = key.expose();
        let is_text = |byte: u8| byte.is_ascii_graphic();
        if text.is_empty() || text.len() > LONGEST_KEY || !text.bytes().all(is_text) {
            let reason = format!("must be 1 to {LONGEST_KEY} printable ASCII characters, no space");
            found.add(field, reason);
            return None;
        }
        Some(key)
    }
}

/// Checks what a client's grant types and scopes have to do with each other: credentials are for clients
/// that act for themselves, and those prove who they are.
pub(super) fn check_client(
    client: &file::Client,
    field: &str,
    names: &[String],
    found: &mut Problems,
) {
    let types = &client.grant_types;
    let is_machine = types.contains(&GrantType::ClientCredentials);
    let is_for_persons = types.contains(&GrantType::AuthorizationCode);
    if types.is_empty() || (is_machine && types.len() > 1) || (!is_machine && !is_for_persons) {
        let reason = "must be [authorization_code, refresh_token], or [client_credentials] for a \
                      client that acts for itself; who needs both needs two clients";
        found.add(format!("{field}.grant_types"), reason);
    }
    if is_machine && client.kind == ClientType::Public {
        found.add(format!("{field}.type"), "a client that acts for itself must be confidential");
    }
    if is_machine && !client.redirect_uris.is_empty() {
        let reason = "a client that acts for itself sends nobody anywhere";
        found.add(format!("{field}.redirect_uris"), reason);
    }
    for (index, scope) in client.scopes.iter().enumerate() {
        let Some(name) = scope.strip_prefix(UPSTREAM_SCOPE) else { continue };
        let field = format!("{field}.scopes[{index}]");
        if !is_machine {
            found.add(field, "is for clients with the grant type client_credentials alone");
        } else if !names.iter().any(|known| known == name) {
            found.add(field, "names none of machine_credentials.credentials");
        }
    }
}

/// Clients that nobody vouches for get no credential.
pub(super) fn check_others(field: &str, scopes: &[String], found: &mut Problems) {
    for (index, scope) in scopes.iter().enumerate() {
        if scope.starts_with(UPSTREAM_SCOPE) {
            let reason = "is for clients of the settings with the grant type client_credentials";
            found.add(format!("{field}[{index}]"), reason);
        }
    }
}
