//! Child processes: pinned to a core, and ended with this program however that ends.

use std::{
    ffi::OsStr,
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    clock::poll,
    error::{BenchError, Result, failed},
};

/// Envoy has a core for itself.
pub(crate) const ENVOY_CORE: u32 = 0;
/// Load, upstream and service share the other one.
pub(crate) const OTHER_CORE: u32 = 1;

/// How long a process may take to end when asked to.
const GRACE: Duration = Duration::from_secs(5);

/// A running child. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts `command` with its output in a file.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output = File::create(log).map_err(BenchError::file(log))?;
        let errors = output.try_clone().map_err(BenchError::file(log))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(BenchError::io(format!("{name} cannot be started")))?;
        Ok(Self { child, name: name.to_owned() })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process as a crash would.
    pub(crate) fn kill(mut self) -> Result<()> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(|_| ()).map_err(BenchError::io(self.name.clone()))
    }

    /// What went wrong, if the process has ended by itself.
    pub(crate) fn ended(&mut self, log: &Path) -> Option<BenchError> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(BenchError::Failed(format!("{} ended ({status}): {}", self.name, tail(log))))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Once it has been waited for, its id may be another process's.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().is_ok();
        let ended = || self.child.try_wait().ok().flatten();
        if !asked || poll(GRACE, ended).is_none() {
            // Neither fails for a child that has not been waited for.
            let _ended = self.child.kill().and_then(|()| self.child.wait());
        }
    }
}

/// A command that runs on one core, and is killed by the kernel when this program is gone.
pub(crate) fn pinned(core: u32, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "--cpu-list", &core.to_string()]);
    command.arg(program);
    command
}

/// Keeps this program to one core, with all threads that it will start.
pub(crate) fn stay_on(core: u32) -> Result<()> {
    let (core, id) = (core.to_string(), std::process::id().to_string());
    let done = Command::new("taskset")
        .args(["--all-tasks", "--pid", "--cpu-list", &core, &id])
        .stdout(Stdio::null())
        .status()
        .map_err(BenchError::io("taskset"))?;
    if done.success() { Ok(()) } else { failed(format!("taskset ended with {done}")) }
}

/// The end of a log file.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(12)..).unwrap_or_default();
    format!("the end of {}:\n{}", log.display(), last.join("\n"))
}
