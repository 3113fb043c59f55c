//! Checking the registered clients.

use super::{Problems, machine_credentials, secrets};
use crate::{
    clients::{
        ActsFor, Client, ClientKeys, ClientKind, ConfiguredClients, ID_PREFIX, RegisteredRedirect,
        Source,
    },
    settings::file::{self, ClientType, GrantType},
};

/// `own` is a client that comes with another setting. `credential_names` are those that scopes may name.
pub(super) fn check(
    clients: Vec<file::Client>,
    own: Option<Client>,
    credential_names: &[String],
    found: &mut Problems,
) -> ConfiguredClients {
    if clients.is_empty() {
        found.add("clients", "needs at least one");
    }
    let mut ids: Vec<String> = own.iter().map(|client| client.id.clone()).collect();
    let mut good: Vec<Client> = own.into_iter().collect();
    for (position, client) in clients.into_iter().enumerate() {
        let field = format!("clients[{position}]");
        // RFC 6749 appendix A.1 allows printable ASCII; a colon would end the user name of HTTP Basic.
        if !(1..=128).contains(&client.id.len())
            || !client.id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
        {
            found.add(
                format!("{field}.id"),
                "must be 1 to 128 printable ASCII characters, no colon or space",
            );
        }
        if client.id.starts_with(ID_PREFIX) {
            let reason =
                format!("must not begin with `{ID_PREFIX}`, as those of registered clients do");
            found.add(format!("{field}.id"), reason);
        }
        if ids.contains(&client.id) {
            found.add(format!("{field}.id"), "is the id of an earlier client, or of the console");
        }
        ids.push(client.id.clone());
        let name = client.name.clone().unwrap_or_else(|| client.id.clone());
        if !(1..=128).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            found.add(format!("{field}.name"), "must be 1 to 128 characters without controls");
        }
        let kind = kind(&client, &field, found);
        let redirects = redirects(&client, &field, found);
        check_scopes(&format!("{field}.scopes"), &client.scopes, found);
        machine_credentials::check_client(&client, &field, credential_names, found);
        let is_machine = client.grant_types.contains(&GrantType::ClientCredentials);
        let acts_for = if is_machine { ActsFor::Itself } else { ActsFor::Persons };
        if let Some(kind) = kind {
            let (id, source, scopes) = (client.id, Source::Settings, client.scopes);
            good.push(Client { id, name, source, kind, acts_for, redirects, scopes });
        }
    }
    ConfiguredClients::new(good)
}

/// Checks a list of scopes, which must not be empty.
pub(super) fn check_scopes(field: &str, scopes: &[String], found: &mut Problems) {
    if scopes.is_empty() {
        found.add(field, "needs at least one");
    }
    for (index, scope) in scopes.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if scope.is_empty() || !scope.bytes().all(plain) {
            found.add(format!("{field}[{index}]"), "is no scope of RFC 6749 section 3.3");
        }
    }
}

fn kind(client: &file::Client, field: &str, found: &mut Problems) -> Option<ClientKind> {
    match (client.kind, &client.secret_file, &client.secret_sha256, &client.jwks_file) {
        (ClientType::Public, None, None, None) => Some(ClientKind::Public),
        (ClientType::Public, ..) => {
            found.add(format!("{field}.type"), "a public client has no secret and no keys");
            None
        }
        (ClientType::Confidential, None, None, Some(file)) => {
            let field = format!("{field}.jwks_file");
            match secrets::json(file).and_then(|set| {
                let problem = |reason| format!("{} {reason}", file.display());
                ClientKeys::parse(&set).map_err(problem)
            }) {
                Ok(keys) => Some(ClientKind::Keys(keys)),
                Err(reason) => {
                    found.add(field, reason);
                    None
                }
            }
        }
        (ClientType::Confidential, Some(file), None, None) => {
            let field = format!("{field}.secret_file");
            found.exposed(&field, file);
            match secrets::secret_hash(file) {
                Ok(hash) => Some(ClientKind::Secret(hash)),
                Err(reason) => {
                    found.add(field, reason);
                    None
                }
            }
        }
        (ClientType::Confidential, None, Some(text), None) => {
            let hash = secrets::hash_from_hexadecimal(text);
            if hash.is_none() {
                found.add(format!("{field}.secret_sha256"), "must be 64 hexadecimal digits");
            }
            hash.map(ClientKind::Secret)
        }
        (ClientType::Confidential, ..) => {
            found.add(
                format!("{field}.secret_file"),
                "a confidential client needs one of secret_file, secret_sha256 and jwks_file",
            );
            None
        }
    }
}

fn redirects(client: &file::Client, field: &str, found: &mut Problems) -> Vec<RegisteredRedirect> {
    let is_machine = client.grant_types.contains(&GrantType::ClientCredentials);
    if client.kind == ClientType::Public && !is_machine && client.redirect_uris.is_empty() {
        found.add(format!("{field}.redirect_uris"), "a public client needs at least one");
    }
    let mut good = Vec::new();
    for (index, uri) in client.redirect_uris.iter().enumerate() {
        match RegisteredRedirect::parse(uri) {
            Ok(redirect) => good.push(redirect),
            Err(reason) => found.add(format!("{field}.redirect_uris[{index}]"), reason),
        }
    }
    good
}
