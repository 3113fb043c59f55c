//! The OAuth service with seeded grants: its settings, its secrets, its start, and what it says about a
//! token.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ib_contract::INTROSPECT_PATH;
use serde_json::{Value, json};

use crate::{
    addresses::Addresses,
    clock::{now, poll},
    error::{BenchError, Result, failed},
    http::{Connection, get},
    process::{OTHER_CORE, Process, pinned, tail},
    tokens::{DISTINCT, Grant, TAG_KEY_ID, hexadecimal, random, write_private},
    traffic::{GATEWAY_HOST, UPSTREAM_HOST},
};

const SETTINGS: &str = "service.yaml";
const TOKENS: &str = "seeded-tokens.txt";
const START: Duration = Duration::from_secs(30);

/// The file that holds the tag key.
pub(crate) const TAG_KEY: &str = "token-tag-key";
/// The file that holds the gateway's credential.
pub(crate) const CREDENTIAL: &str = "gateway-credential";
/// The file that holds what Envoy adds to callouts.
pub(crate) const AUTHORIZATION: &str = "gateway-authorization";

/// A running service.
#[derive(Debug)]
pub(crate) struct Service {
    /// From the start of the process to its first good answer at `/readyz`, to 20 ms.
    pub(crate) start: Duration,
    pub(crate) process: Process,
    /// The seeded tokens, one a line.
    pub(crate) tokens: PathBuf,
    credential: String,
    internal: SocketAddr,
}

/// Seeds a store in `folder` and serves it, with a large cache.
pub(crate) fn start(
    program: &Path,
    folder: &Path,
    addresses: &Addresses,
    grants: usize,
) -> Result<Service> {
    let prepared = Prepared::new(program, folder, addresses, 512)?;
    prepared.seed(grants, &[])?;
    prepared.serve(OTHER_CORE)
}

/// Settings and secrets of a service that may be seeded, started, and started again.
#[derive(Debug)]
pub(crate) struct Prepared {
    program: PathBuf,
    settings: PathBuf,
    log: PathBuf,
    credential: String,
    internal: SocketAddr,
    /// The file that holds the store.
    pub(crate) store: PathBuf,
    /// The seeded tokens, one a line.
    pub(crate) tokens: PathBuf,
}

impl Prepared {
    /// Writes what the service needs to `folder`, where the tag key is already.
    pub(crate) fn new(
        program: &Path,
        folder: &Path,
        addresses: &Addresses,
        cache_megabytes: u32,
    ) -> Result<Self> {
        let credential = hexadecimal(&random::<32>()?);
        write_private(&folder.join(CREDENTIAL), &credential)?;
        write_private(&folder.join(AUTHORIZATION), &format!("Bearer {credential}"))?;
        write_private(&folder.join("sealing-key"), &STANDARD.encode(random::<32>()?))?;
        let (settings, store) = (folder.join(SETTINGS), folder.join("oauth.redb"));
        // JSON is YAML.
        let text = settings_of(folder, &store, addresses, cache_megabytes).to_string();
        write_private(&settings, &text)?;
        Ok(Self {
            program: program.to_owned(),
            settings,
            log: folder.join("service.log"),
            credential,
            internal: addresses.service_internal,
            store,
            tokens: folder.join(TOKENS),
        })
    }

    /// Fills the store; `more` are further options of `ib-oauth admin seed` that name files.
    pub(crate) fn seed(&self, grants: usize, more: &[(&str, &Path)]) -> Result<()> {
        let seeded = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(&self.program)
            .args(["admin", "seed", "--grants", &grants.to_string(), "--platform", UPSTREAM_HOST])
            .arg("--config")
            .arg(&self.settings)
            .arg("--output")
            .arg(&self.tokens)
            .args(more.iter().flat_map(|(option, file)| [OsStr::new(*option), file.as_os_str()]))
            .status()
            .map_err(BenchError::io("ib-oauth admin seed"))?;
        if seeded.success() {
            return Ok(());
        }
        failed(format!("ib-oauth admin seed ended with {seeded}"))
    }

    /// Serves on one core; returns when the service is ready.
    pub(crate) fn serve(&self, core: u32) -> Result<Service> {
        let mut command = pinned(core, &self.program);
        command.arg("serve").arg("--config").arg(&self.settings);
        let begun = now();
        let mut process = Process::start("the OAuth service", command, &self.log)?;
        let ready = poll(START, || match process.ended(&self.log) {
            Some(cause) => Some(Err(cause)),
            None => get(self.internal, "/readyz")
                .is_ok_and(|answer| answer.status == 200)
                .then_some(Ok(())),
        });
        match ready {
            Some(ready) => ready?,
            None => {
                return failed(format!("the OAuth service is not ready; {}", tail(&self.log)));
            }
        }
        Ok(Service {
            start: begun.elapsed(),
            process,
            tokens: self.tokens.clone(),
            credential: self.credential.clone(),
            internal: self.internal,
        })
    }
}

impl Service {
    /// The first of the seeded grants, with the session ids that the service tells the gateway.
    pub(crate) fn first_grants(&self) -> Result<Vec<Grant>> {
        let text = std::fs::read_to_string(&self.tokens).map_err(BenchError::file(&self.tokens))?;
        let mut connection = Connection::open(self.internal)?;
        let grants = text.lines().take(DISTINCT).map(|token| {
            let answer = connection.exchange(self.introspection(token).as_bytes())?.json()?;
            match answer.pointer("/upstreams/0/headers/sid").and_then(Value::as_str) {
                Some(sid) => Ok(Grant { token: token.to_owned(), sid: sid.to_owned() }),
                None => failed("the service does not know a token that was seeded"),
            }
        });
        grants.collect()
    }

    /// The request by which the gateway asks what a token stands for.
    pub(crate) fn introspection(&self, token: &str) -> String {
        introspection(&self.credential, token)
    }
}

/// The request by which somebody with the gateway's credential asks what a token stands for.
pub(crate) fn introspection(credential: &str, token: &str) -> String {
    let body = format!("token={token}");
    format!(
        "POST {INTROSPECT_PATH} HTTP/1.1\r\nhost: service\r\nauthorization: Bearer {credential}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// So many at once that no measurement asks for more.
const UNLIMITED: Limit = Limit { per_minute: 100_000_000, burst: 10_000_000 };

/// How often something may be asked of the service.
#[derive(Clone, Copy, serde::Serialize)]
struct Limit {
    per_minute: u32,
    burst: u32,
}

fn settings_of(folder: &Path, store: &Path, addresses: &Addresses, cache_megabytes: u32) -> Value {
    let issuer = format!("https://{GATEWAY_HOST}");
    json!({
        "issuer": issuer,
        "listen": {
            "public": addresses.service_public.to_string(),
            "internal": addresses.service_internal.to_string(),
        },
        "log": "warn",
        "store": { "engine": "redb", "path": store, "cache_megabytes": cache_megabytes },
        "sealing": { "keys": [{ "id": "bench", "file": folder.join("sealing-key") }] },
        "token_tags": { "keys": [{ "id": TAG_KEY_ID, "file": folder.join(TAG_KEY) }] },
        "gateway": { "credentials": [{ "file": folder.join(CREDENTIAL) }] },
        "tokens": { "access_token_seconds": 86_400 },
        // The adapter does not look whether a connection that it kept is still there.
        "server": { "idle_timeout_seconds": 600 },
        "development": { "allow_private_addresses": true },
        // What is measured is the service, not its limits.
        "limits": { "token": { "address": UNLIMITED, "client": UNLIMITED } },
        "clients": [{
            "id": "mcp-public-client", "name": "Benchmark", "type": "public",
            "redirect_uris": ["http://127.0.0.1/callback"], "scopes": ["profile"],
        }],
    })
}
