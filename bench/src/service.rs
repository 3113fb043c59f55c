//! The OAuth service with seeded grants: its settings, its secrets, its start, and what it says about a
//! token.

use std::{path::Path, process::Command, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    addresses::Addresses,
    clock::poll,
    error::{BenchError, Result, failed},
    http::{Connection, get},
    process::{OTHER_CORE, Process, pinned, tail},
    tokens::{DISTINCT, Grant, TAG_KEY_ID, hexadecimal, random, write_private},
    traffic::{GATEWAY_HOST, UPSTREAM_HOST},
};

const SETTINGS: &str = "service.yaml";
const TOKENS: &str = "seeded-tokens.txt";
const CREDENTIAL: &str = "gateway-credential";
const START: Duration = Duration::from_secs(30);

/// The file that holds the tag key.
pub(crate) const TAG_KEY: &str = "token-tag-key";
/// The file that holds what Envoy adds to callouts.
pub(crate) const AUTHORIZATION: &str = "gateway-authorization";

/// A running service.
#[derive(Debug)]
pub(crate) struct Service {
    _process: Process,
    /// The seeded tokens, one a line.
    pub(crate) tokens: std::path::PathBuf,
    credential: String,
    internal: std::net::SocketAddr,
}

/// Seeds a store in `folder` and serves it.
pub(crate) fn start(
    program: &Path,
    folder: &Path,
    addresses: &Addresses,
    grants: usize,
) -> Result<Service> {
    let credential = hexadecimal(&random::<32>()?);
    write_private(&folder.join(CREDENTIAL), &credential)?;
    write_private(&folder.join(AUTHORIZATION), &format!("Bearer {credential}"))?;
    write_private(&folder.join("sealing-key"), &STANDARD.encode(random::<32>()?))?;
    let settings = folder.join(SETTINGS);
    // JSON is YAML.
    write_private(&settings, &settings_of(folder, addresses).to_string())?;
    let tokens = folder.join(TOKENS);
    let seeded = Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(program)
        .args(["admin", "seed", "--grants", &grants.to_string(), "--platform", UPSTREAM_HOST])
        .arg("--config")
        .arg(&settings)
        .arg("--output")
        .arg(&tokens)
        .status()
        .map_err(BenchError::io("ib-oauth admin seed"))?;
    if !seeded.success() {
        return failed(format!("ib-oauth admin seed ended with {seeded}"));
    }
    let log = folder.join("service.log");
    let mut command = pinned(OTHER_CORE, program);
    command.arg("serve").arg("--config").arg(&settings);
    let mut process = Process::start("the OAuth service", command, &log)?;
    let ready = poll(START, || match process.ended(&log) {
        Some(cause) => Some(Err(cause)),
        None => get(addresses.service_internal, "/readyz")
            .is_ok_and(|answer| answer.status == 200)
            .then_some(Ok(())),
    });
    match ready {
        Some(ready) => ready?,
        None => return failed(format!("the OAuth service is not ready; {}", tail(&log))),
    }
    Ok(Service { _process: process, tokens, credential, internal: addresses.service_internal })
}

impl Service {
    /// The first of the seeded grants, with the session ids that the service tells the gateway.
    pub(crate) fn first_grants(&self) -> Result<Vec<Grant>> {
        let text = std::fs::read_to_string(&self.tokens).map_err(BenchError::file(&self.tokens))?;
        let mut connection = Connection::open(self.internal)?;
        let grants = text.lines().take(DISTINCT).map(|token| {
            let body = format!("token={token}");
            let request = format!(
                "POST /introspect HTTP/1.1\r\nhost: service\r\nauthorization: Bearer {}\r\n\
                 content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
                self.credential,
                body.len()
            );
            let answer = connection.exchange(request.as_bytes())?.json()?;
            match answer.pointer("/upstreams/0/headers/sid").and_then(Value::as_str) {
                Some(sid) => Ok(Grant { token: token.to_owned(), sid: sid.to_owned() }),
                None => failed("the service does not know a token that was seeded"),
            }
        });
        grants.collect()
    }
}

fn settings_of(folder: &Path, addresses: &Addresses) -> Value {
    let issuer = format!("https://{GATEWAY_HOST}");
    json!({
        "issuer": issuer,
        "listen": {
            "public": addresses.service_public.to_string(),
            "internal": addresses.service_internal.to_string(),
        },
        "log": "warn",
        "store": { "engine": "redb", "path": folder.join("oauth.redb"), "cache_megabytes": 512 },
        "sealing": { "keys": [{ "id": "bench", "file": folder.join("sealing-key") }] },
        "token_tags": { "keys": [{ "id": TAG_KEY_ID, "file": folder.join(TAG_KEY) }] },
        "gateway": { "credentials": [{ "file": folder.join(CREDENTIAL) }] },
        "tokens": { "access_token_seconds": 86_400 },
        "development": { "allow_private_addresses": true },
        "clients": [{
            "id": "mcp-public-client", "name": "Benchmark", "type": "public",
            "redirect_uris": ["http://127.0.0.1/callback"], "scopes": ["profile"],
        }],
    })
}
