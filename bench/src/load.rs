//! The load generator, wrk, and what it reports.

use std::{path::Path, process::Stdio};

use serde::Deserialize;

use crate::{
    error::{BenchError, Result, because, failed},
    process::{OTHER_CORE, pinned},
    stage::Stage,
    variants::{Outcome, Variant},
};

const SCRIPT: &str = "load.lua";

/// What wrk reports. Times are in microseconds.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Report {
    /// Answers.
    pub(crate) requests: u64,
    /// How long it took.
    pub(crate) microseconds: u64,
    /// Half of the answers came within.
    pub(crate) p50: u64,
    /// 99 % of them.
    pub(crate) p99: u64,
    /// 99.9 % of them.
    pub(crate) p999: u64,
    /// Answers with a status of 400 and more.
    pub(crate) bad_statuses: u64,
    /// Connections that failed, and requests without an answer.
    pub(crate) broken: u64,
    /// Answers with 401, where answers were counted.
    pub(crate) unauthorized: u64,
    /// Answers with any other status, where answers were counted.
    pub(crate) others: u64,
}

/// How to load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// For how long.
    pub(crate) seconds: u32,
    /// Over how many connections.
    pub(crate) connections: u32,
    /// How many tokens to leave out at first.
    pub(crate) skip: u32,
}

/// Writes the script into the run's folder.
pub(crate) fn prepare(stage: &Stage) -> Result<()> {
    let file = stage.folder.join(SCRIPT);
    std::fs::write(&file, include_str!("../lua/load.lua")).map_err(BenchError::file(&file))
}

/// Loads Envoy with a variant's requests.
pub(crate) fn run(stage: &Stage, variant: &Variant, shape: Shape) -> Result<Report> {
    let tokens = stage.tokens(variant.load);
    let count = matches!(variant.outcome, Outcome::Refused);
    let mut command = pinned(OTHER_CORE, "wrk");
    command
        .args(["--threads", "1", "--connections", &shape.connections.to_string()])
        .args(["--duration", &format!("{}s", shape.seconds), "--timeout", "10s", "--script"])
        .arg(stage.folder.join(SCRIPT))
        .arg(format!("http://{}/", stage.addresses.gateway))
        .arg("--")
        .arg(stage.head(variant.body))
        .arg(tokens.as_deref().unwrap_or(Path::new("-")))
        .arg(shape.skip.to_string())
        .arg(if count { "count" } else { "-" })
        .stdin(Stdio::null());
    let output = command.output().map_err(BenchError::io("wrk cannot be started"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match text.lines().find_map(|line| line.strip_prefix("RESULT ")) {
        Some(json) => serde_json::from_str(json).map_err(because("wrk's report")),
        None => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            failed(format!("wrk ended with {} and no report: {text}{errors}", output.status))
        }
    }
}
