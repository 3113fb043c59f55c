//! What the figures were measured with: the machine, and the versions of everything.

use std::{path::Path, process::Command};

use sha2::{Digest as _, Sha256};

use crate::{
    error::{BenchError, Result},
    stage::Stage,
    tokens::hexadecimal,
};

/// Lines for the results: what, and which.
pub(crate) fn describe(stage: &Stage) -> Result<Vec<(&'static str, String)>> {
    let envoy = stage.envoy.display().to_string();
    let mut lines = basics();
    lines.extend([
        ("Envoy", first_line(&envoy, &["--version"]).replace(&envoy, "").trim().to_owned()),
        ("wrk", first_line("wrk", &["-v"])),
        ("plugin", file(&stage.plugin)?),
        ("empty filter", file(&stage.filter("empty"))?),
        ("rewriting filter", file(&stage.filter("rewrite"))?),
        ("filter of the same calls", file(&stage.filter("same-calls"))?),
    ]);
    Ok(lines)
}

/// The machine itself and the compiler.
pub(crate) fn basics() -> Vec<(&'static str, String)> {
    vec![
        ("processor", processor()),
        ("cores", std::thread::available_parallelism().map_or(0, usize::from).to_string()),
        ("kernel", first_line("uname", &["-sr"])),
        ("rustc", first_line("rustc", &["--version"])),
    ]
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    model.map_or("unknown", |model| model.trim_start_matches([' ', '\t', ':'])).to_owned()
}

fn file(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(BenchError::file(path))?;
    Ok(format!("{} bytes, SHA-256 {}", bytes.len(), hexadecimal(&Sha256::digest(&bytes))))
}

/// The first line that a program prints. (wrk prints its version beside a failure.)
fn first_line(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        return "unknown".to_owned();
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown").to_owned()
}
