//! What a run has on its stage: folders, addresses, tokens, and the processes that serve all variants.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    addresses::Addresses,
    arguments::Inputs,
    clock::poll,
    error::{BenchError, Result, failed},
    http::get,
    jwt::Signed,
    process::{OTHER_CORE, Process, pinned, tail},
    production::Production,
    service::{self, Service},
    tokens::{DISTINCT, Grant, Maker, write_lines, write_private},
    traffic::{Body, GATEWAY_HOST, HEADERS},
    variants::Load,
};

/// How long a small process may take to listen.
const START: Duration = Duration::from_secs(10);

/// Everything that the variants share.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Files of this run.
    pub(crate) folder: PathBuf,
    /// Where everything listens.
    pub(crate) addresses: Addresses,
    /// The plugin.
    pub(crate) plugin: PathBuf,
    /// The Envoy binary.
    pub(crate) envoy: PathBuf,
    /// What is taken from the production file.
    pub(crate) production: Production,
    /// Signed tokens and their keys.
    pub(crate) signed: Signed,
    /// The good tokens.
    pub(crate) grants: Vec<Grant>,
    filters: PathBuf,
    service: Option<Service>,
    maker: Maker,
    _upstream: Process,
}

impl Stage {
    /// Starts what all variants share. With `grants`, the real service with so many seeded grants.
    pub(crate) fn set(inputs: &Inputs, grants: Option<usize>) -> Result<Self> {
        let folder = fresh_folder(&inputs.work)?;
        let addresses = Addresses::free()?;
        let maker = Maker::new(&folder.join(service::TAG_KEY))?;
        let service = match grants {
            Some(grants) => Some(service::start(&inputs.service, &folder, &addresses, grants)?),
            None => None,
        };
        let grants = match &service {
            Some(service) => service.first_grants()?,
            None => maker.invented()?,
        };
        if service.is_none() {
            write_private(&folder.join(service::AUTHORIZATION), "Bearer nobody")?;
        }
        let signed = Signed::new()?;
        write_lines(&folder.join(GOOD), grants.iter().map(|grant| &grant.token))?;
        write_lines(&folder.join(SIGNED), &signed.tokens)?;
        let forged = (0..DISTINCT).map(|_| maker.forged()).collect::<Result<Vec<_>>>()?;
        let unknown = (0..DISTINCT).map(|_| maker.unknown()).collect::<Result<Vec<_>>>()?;
        write_lines(&folder.join(FORGED), forged)?;
        write_lines(&folder.join(UNKNOWN), unknown)?;
        for body in Body::ALL {
            let path = body.gateway_path();
            let head = format!("GET {path} HTTP/1.1\r\nhost: {GATEWAY_HOST}\r\n{HEADERS}");
            write_private(&folder.join(head_file(body)), &head)?;
        }
        let upstream = start_upstream(&folder, &addresses, &grants, service.is_some())?;
        Ok(Self {
            production: Production::read(&inputs.repository.join("envoy/envoy.yaml"))?,
            plugin: absolute(&inputs.plugin)?,
            envoy: absolute(&inputs.envoy)?,
            filters: absolute(&inputs.filters)?,
            folder,
            addresses,
            signed,
            grants,
            service,
            maker,
            _upstream: upstream,
        })
    }

    /// One of the benchmark's own filters.
    pub(crate) fn filter(&self, name: &str) -> PathBuf {
        self.filters.join(format!("{name}.wasm"))
    }

    /// The good tokens and their session ids, as the benchmark's own filters read them.
    pub(crate) fn table(&self) -> String {
        table(&self.grants)
    }

    /// The file with a load's tokens, one a line; none for a load without tokens.
    pub(crate) fn tokens(&self, load: Load) -> Option<PathBuf> {
        match load {
            Load::Good => Some(self.folder.join(GOOD)),
            Load::Signed => Some(self.folder.join(SIGNED)),
            Load::Forged => Some(self.folder.join(FORGED)),
            Load::Unknown => Some(self.folder.join(UNKNOWN)),
            Load::Fresh => self.service.as_ref().map(|service| service.tokens.clone()),
            Load::Missing => None,
        }
    }

    /// The file with a request up to its token.
    pub(crate) fn head(&self, body: Body) -> PathBuf {
        self.folder.join(head_file(body))
    }

    /// The maker of tokens that the service does not know.
    pub(crate) fn maker(&self) -> &Maker {
        &self.maker
    }
}

const GOOD: &str = "tokens-good.txt";
const SIGNED: &str = "tokens-signed.txt";
const FORGED: &str = "tokens-forged.txt";
const UNKNOWN: &str = "tokens-unknown.txt";

fn head_file(body: Body) -> &'static str {
    match body {
        Body::Small => "request-small.txt",
        Body::SmallWithSid => "request-small-sids.txt",
        Body::Large => "request-large.txt",
    }
}

fn table(grants: &[Grant]) -> String {
    grants.iter().map(|grant| format!("{} {}\n", grant.token, grant.sid)).collect()
}

fn start_upstream(
    folder: &Path,
    addresses: &Addresses,
    grants: &[Grant],
    has_service: bool,
) -> Result<Process> {
    let tokens = folder.join("sessions.txt");
    write_private(&tokens, &table(grants))?;
    let program = std::env::current_exe().map_err(BenchError::io("this program's file"))?;
    let mut command = pinned(OTHER_CORE, program);
    command.arg("upstream").arg("--tokens").arg(&tokens);
    for (name, address) in [
        ("--upstream", addresses.upstream),
        ("--tally", addresses.tally),
        ("--authorization", addresses.authorization),
    ] {
        command.arg(name).arg(address.to_string());
    }
    if has_service {
        command.arg("--adapter").arg(addresses.adapter.to_string());
        command.arg("--service").arg(addresses.service_internal.to_string());
        command.arg("--credential").arg(folder.join(service::CREDENTIAL));
    }
    let log = folder.join("upstream.log");
    let mut process = Process::start("the upstream", command, &log)?;
    let ready = poll(START, || match process.ended(&log) {
        Some(cause) => Some(Err(cause)),
        None => get(addresses.tally, "/").is_ok().then_some(Ok(())),
    });
    match ready {
        Some(ready) => ready.map(|()| process),
        None => failed(format!("the upstream does not answer; {}", tail(&log))),
    }
}

/// Empties the run's folder, or makes it. Only one run at a time may use it.
pub(crate) fn fresh_folder(work: &Path) -> Result<PathBuf> {
    let folder = work.join("run");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(BenchError::file(&folder))?;
    }
    std::fs::create_dir_all(&folder).map_err(BenchError::file(&folder))?;
    absolute(&folder)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(BenchError::file(path))
}
