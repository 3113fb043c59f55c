//! One Envoy on its core: started with a variant's bootstrap, asked for its statistics, ended.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use crate::{
    bootstrap::{bootstrap, credential_file},
    clock::poll,
    error::{Result, failed},
    http::get,
    process::{ENVOY_CORE, Process, pinned, tail},
    service::AUTHORIZATION,
    stage::Stage,
    tokens::write_private,
};

const START: Duration = Duration::from_secs(20);

/// A running Envoy.
#[derive(Debug)]
pub(crate) struct Envoy<'a> {
    process: Process,
    stage: &'a Stage,
    log: PathBuf,
}

impl<'a> Envoy<'a> {
    /// Starts it with a connection manager, and waits until it serves.
    pub(crate) fn start(stage: &'a Stage, name: &str, manager: &Value) -> Result<Self> {
        let folder = &stage.folder;
        let authorization = folder.join(AUTHORIZATION).display().to_string();
        let credential = credential_file(&authorization).to_string();
        let credential_at = folder.join("gateway-credential.yaml");
        write_private(&credential_at, &credential)?;
        let file = folder.join(format!("{name}.json"));
        let stats = stage.production.stats_config();
        let content = bootstrap(&stage.addresses, manager, stats, &credential_at);
        write_private(&file, &format!("{content:#}"))?;
        let mut command = pinned(ENVOY_CORE, &stage.envoy);
        command
            .current_dir(folder)
            .args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn"])
            .arg("--config-path")
            .arg(&file);
        let log = folder.join(format!("{name}.log"));
        let mut process = Process::start("Envoy", command, &log)?;
        let admin = stage.addresses.admin;
        let ready = poll(START, || match process.ended(&log) {
            Some(cause) => Some(Err(cause)),
            None => get(admin, "/ready").is_ok_and(|answer| answer.status == 200).then_some(Ok(())),
        });
        match ready {
            Some(ready) => ready?,
            None => return failed(format!("Envoy is not ready; {}", tail(&log))),
        }
        Ok(Self { process, stage, log })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The end of its log, for messages.
    pub(crate) fn log(&self) -> String {
        tail(&self.log)
    }

    /// The sum of the statistics whose names end in `name`; none where there is no such name.
    pub(crate) fn statistic(&self, name: &str) -> Result<Option<u64>> {
        let short = name.rsplit('.').next().unwrap_or(name);
        let answer = get(self.stage.addresses.admin, &format!("/stats?filter={short}"))?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let values = text.lines().filter_map(|line| {
            let (full, value) = line.split_once(": ")?;
            let is_it = full.strip_suffix(name).is_some_and(|start| start.ends_with('.'));
            is_it.then(|| value.parse::<u64>().ok()).flatten()
        });
        Ok(values.reduce(u64::saturating_add))
    }

    /// Waits until the plugin hears the revocation feed, which brings the keys of tags.
    pub(crate) fn wait_for_feed(&self) -> Result<()> {
        let hears = || match self.statistic("ib_gateway.current_revocation_feeds") {
            Ok(Some(workers)) => (workers > 0).then_some(Ok(())),
            Ok(None) => None,
            Err(cause) => Some(Err(cause)),
        };
        match poll(START, hears) {
            Some(heard) => heard,
            None => failed(format!("the plugin does not hear the revocation feed; {}", self.log())),
        }
    }
}
