//! Checking the store's section: each engine has its own fields, and no others.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use url::{Host, Url};

use super::{DAY, Problems, secrets};
use crate::settings::{
    DynamodbSettings, EngineSettings, NetworkBounds, RedbSettings, RedisSettings, StoreSettings,
    file::{Engine, Store},
};

/// Longest prefix, in characters: DynamoDB's names have a bound.
const LONGEST_PREFIX: usize = 64;

pub(super) fn check(file: Store, found: &mut Problems) -> StoreSettings {
    foreign_fields(&file, found);
    let sweep = file.sweep_seconds.unwrap_or(60);
    let sweep = found.seconds("store.sweep_seconds", sweep, 1..=DAY);
    let engine = match file.engine {
        Engine::Redb => EngineSettings::Redb(redb(file, found)),
        Engine::Redis => EngineSettings::Redis(redis(file, found)),
        Engine::Dynamodb => EngineSettings::Dynamodb(dynamodb(file, found)),
    };
    StoreSettings { engine, sweep }
}

/// Refuses fields that the engine does not have: whoever wrote them expects something of them.
fn foreign_fields(file: &Store, found: &mut Problems) {
    use Engine::{Dynamodb, Redb, Redis};
    let fields: [(&str, bool, &[Engine]); 15] = [
        ("path", file.path.is_some(), &[Redb]),
        ("cache_megabytes", file.cache_megabytes.is_some(), &[Redb]),
        ("sweep_seconds", file.sweep_seconds.is_some(), &[Redb]),
        ("address", file.address.is_some(), &[Redis]),
        ("database", file.database.is_some(), &[Redis]),
        ("tls", file.tls.is_some(), &[Redis]),
        ("ca_file", file.ca_file.is_some(), &[Redis]),
        ("username", file.username.is_some(), &[Redis]),
        ("password_file", file.password_file.is_some(), &[Redis]),
        ("region", file.region.is_some(), &[Dynamodb]),
        ("endpoint", file.endpoint.is_some(), &[Dynamodb]),
        ("prefix", file.prefix.is_some(), &[Redis, Dynamodb]),
        (
            "connect_timeout_milliseconds",
            file.connect_timeout_milliseconds.is_some(),
            &[Redis, Dynamodb],
        ),
        (
            "command_timeout_milliseconds",
            file.command_timeout_milliseconds.is_some(),
            &[Redis, Dynamodb],
        ),
        ("maximum_in_flight", file.maximum_in_flight.is_some(), &[Redis, Dynamodb]),
    ];
    for (name, is_there, engines) in fields {
        if is_there && !engines.contains(&file.engine) {
            let reason = format!("is no field of the engine {}", file.engine.name());
            found.add(format!("store.{name}"), reason);
        }
    }
}

fn redb(file: Store, found: &mut Problems) -> RedbSettings {
    let path: PathBuf = required("path", file.path, file.engine, found);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if !folder.unwrap_or(Path::new(".")).is_dir() {
        found.add("store.path", format!("{} has no folder to be in", path.display()));
    }
    let cache = file.cache_megabytes.unwrap_or(64);
    let cache_bytes =
        found.bytes("store.cache_megabytes", cache, 1..=65_536).saturating_mul(1024 * 1024);
    RedbSettings { path, cache_bytes }
}

fn redis(file: Store, found: &mut Problems) -> RedisSettings {
    let address: String = required("address", file.address.clone(), file.engine, found);
    // Read as an authority, so that an IPv6 address may stand in its brackets.
    let url = Url::parse(&format!("redis://{address}")).ok().filter(|url| {
        url.username().is_empty() && url.password().is_none() && url.path().is_empty()
    });
    let url = url.filter(|url| url.query().is_none() && url.fragment().is_none());
    let (host, port) = match url.as_ref().map(|url| (url.host(), url.port())) {
        Some((Some(host), Some(port))) => (host.to_owned(), port),
        _ => {
            if file.address.is_some() {
                found.add("store.address", "must be host:port; a password has its own file");
            }
            (Host::Domain(String::new()), 0)
        }
    };
    let is_loopback = match &host {
        // Under this scheme an IPv4 address is a name.
        Host::Domain(name) => {
            name == "localhost" || name.parse::<Ipv4Addr>().is_ok_and(|own| own.is_loopback())
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let host = match host {
        Host::Domain(name) => name,
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let tls = file.tls.unwrap_or(true);
    if !tls && !is_loopback {
        found.warn("store.tls", "is off: whoever is in between reads and changes the store");
    }
    if !tls && file.ca_file.is_some() {
        found.add("store.ca_file", "is of no use without tls");
    }
    let ca_pem = file.ca_file.as_ref().and_then(|path| match std::fs::read(path) {
        Ok(pem) => Some(pem),
        Err(cause) => {
            found.add("store.ca_file", format!("{} cannot be read: {cause}", path.display()));
            None
        }
    });
    let password = file.password_file.as_ref().and_then(|path| {
        found.exposed("store.password_file", path);
        match secrets::password(path) {
            Ok(password) => Some(password),
            Err(reason) => {
                found.add("store.password_file", reason);
                None
            }
        }
    });
    if file.password_file.is_none() {
        if file.username.is_some() {
            found.add("store.username", "needs a password_file");
        } else if !is_loopback {
            found.warn(
                "store.password_file",
                "is absent: everybody who reaches the server is let in",
            );
        }
    }
    RedisSettings {
        host,
        port,
        database: found
            .range("store.database", file.database.unwrap_or(0), 0..=1_023)
            .try_into()
            .unwrap_or_default(),
        tls,
        ca_pem,
        username: file.username.clone(),
        password,
        prefix: prefix(&file, found),
        bounds: bounds(&file, found),
    }
}

fn dynamodb(file: Store, found: &mut Problems) -> DynamodbSettings {
    let region: String = required("region", file.region.clone(), file.engine, found);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if file.region.is_some() && (region.is_empty() || !region.bytes().all(plain)) {
        found.add("store.region", "must be a name such as eu-central-1");
    }
    if let Some(endpoint) = &file.endpoint {
        match Url::parse(endpoint) {
            Ok(url) if url.scheme() == "https" && url.has_host() => {}
            Ok(url) if url.scheme() == "http" && url.has_host() => {
                let loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
                if !loopback {
                    found.add("store.endpoint", "must be https; http is for loopback hosts");
                }
            }
            _ => found.add("store.endpoint", "must be an https URL"),
        }
    }
    DynamodbSettings {
        region,
        endpoint: file.endpoint.clone(),
        prefix: prefix(&file, found),
        bounds: bounds(&file, found),
    }
}

/// Required, so that no two stages share a store because nobody thought of it.
fn prefix(file: &Store, found: &mut Problems) -> String {
    let prefix: String = required("prefix", file.prefix.clone(), file.engine, found);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let length = 1..=LONGEST_PREFIX;
    if file.prefix.is_some() && (!length.contains(&prefix.len()) || !prefix.bytes().all(plain)) {
        let reason = format!("must be 1 to {LONGEST_PREFIX} letters, digits, `-`, `_` or `.`");
        found.add("store.prefix", reason);
    }
    prefix
}

fn bounds(file: &Store, found: &mut Problems) -> NetworkBounds {
    NetworkBounds {
        connect_timeout: found.milliseconds(
            "store.connect_timeout_milliseconds",
            file.connect_timeout_milliseconds.unwrap_or(2_000),
            1..=60_000,
        ),
        command_timeout: found.milliseconds(
            "store.command_timeout_milliseconds",
            file.command_timeout_milliseconds.unwrap_or(5_000),
            1..=60_000,
        ),
        maximum_in_flight: found.bytes(
            "store.maximum_in_flight",
            file.maximum_in_flight.unwrap_or(256),
            1..=65_536,
        ),
    }
}

fn required<T: Default>(name: &str, value: Option<T>, engine: Engine, found: &mut Problems) -> T {
    if value.is_none() {
        found.add(format!("store.{name}"), format!("is needed by the engine {}", engine.name()));
    }
    value.unwrap_or_default()
}
