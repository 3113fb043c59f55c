//! One child process: started with its output in a file, signalled, and never left behind.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::identity::ProcessIdentity;
use crate::StackError;

/// How long a process may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_millis(20);

/// A running child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    process_id: u32,
    identity: Option<ProcessIdentity>,
}

impl Process {
    /// Starts a command with its output appended to two files (or one).
    ///
    /// The child gets a process group of its own, so that Ctrl-C reaches it through the launcher only
    /// and the parts end in order.
    ///
    /// # Errors
    ///
    /// When the program cannot be started or a file cannot be opened.
    pub fn spawn(mut command: Command, output: &Path, errors: &Path) -> Result<Self, StackError> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(append(output)?)
            .stderr(append(errors)?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(StackError::io(format!("{program} cannot be started")))?;
        let process_id = child
            .id()
            .ok_or_else(|| StackError::configuration(program, "it ended as it was started"))?;
        Ok(Self { child, process_id, identity: ProcessIdentity::of(process_id) })
    }

    /// The process id.
    #[must_use]
    pub const fn process_id(&self) -> u32 {
        self.process_id
    }

    /// The process id with its start time; nothing if it ended at once.
    #[must_use]
    pub const fn identity(&self) -> Option<ProcessIdentity> {
        self.identity
    }

    /// How the process ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until the process ends by itself.
    pub async fn ended(&mut self) -> Option<ExitStatus> {
        self.child.wait().await.ok()
    }

    /// Kills the process and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub async fn kill(&mut self) -> Result<(), StackError> {
        self.child.kill().await.map_err(StackError::io("kill"))
    }

    /// Stops its execution, and waits until every thread of it stands: the signal alone leaves them time
    /// to answer another request.
    ///
    /// # Errors
    ///
    /// When the system refuses, or a thread goes on.
    pub async fn pause(&self) -> Result<(), StackError> {
        self.signal(Signal::STOP)?;
        let stopped = async {
            while !has_stopped(self.process_id) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let stopped = tokio::time::timeout(GRACE, stopped).await;
        stopped.map_err(|_| StackError::configuration("pause", "a thread of it goes on"))
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn resume(&self) -> Result<(), StackError> {
        self.signal(Signal::CONT)
    }

    /// Asks the process to end, and kills it when it has not after a few seconds.
    pub async fn terminate(mut self) {
        // A paused process would not see the request. Neither fails on a child that was not reaped.
        let _ = self.signal(Signal::TERM).and_then(|()| self.resume());
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    // Safe against another process with the same id: the child is not reaped while this holds it,
    // or `try_wait` has said so and `id` is none.
    fn signal(&self, signal: Signal) -> Result<(), StackError> {
        match self.child.id() {
            Some(process_id) => send(process_id, signal),
            None => Err(StackError::configuration("signal", "the process has ended")),
        }
    }
}

/// Whether every thread of a process is stopped (`T`, the first field behind the name; proc(5)).
fn has_stopped(process_id: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process_id}/task")) else { return false };
    threads.flatten().all(|thread| {
        let state = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        state.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('T'))
    })
}

/// Ends a process that is not a child of this one, if it is still the process that was meant: asks it,
/// and kills it when it has not ended within `GRACE`.
pub async fn end_leftover(identity: ProcessIdentity) {
    end_within(identity, GRACE).await;
}

/// The same with a deadline of its own, for a process that has others to end first.
pub async fn end_within(identity: ProcessIdentity, grace: Duration) {
    for signal in [Signal::CONT, Signal::TERM, Signal::KILL] {
        if !identity.lives() {
            return;
        }
        // Fails only where the process ended meanwhile or belongs to somebody else.
        let _ = send(identity.process_id, signal);
        if signal != Signal::CONT {
            let gone = async {
                while identity.lives() {
                    tokio::time::sleep(INTERVAL).await;
                }
            };
            let _ = tokio::time::timeout(grace, gone).await;
        }
    }
}

/// Sends a signal to a process.
///
/// # Errors
///
/// When there is no such process or the system refuses.
pub fn send(process_id: u32, signal: Signal) -> Result<(), StackError> {
    let process_id = i32::try_from(process_id)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| StackError::configuration("process id", process_id))?;
    kill_process(process_id, signal)
        .map_err(|error| StackError::Io { what: "signal".to_owned(), source: error.into() })
}

fn append(path: &Path) -> Result<File, StackError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(StackError::io(path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(script: &str, log: &Path) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::spawn(command, log, log).unwrap()
    }

    #[tokio::test]
    async fn a_paused_process_still_ends_when_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        let process = process("exec sleep 60", &folder.path().join("log"));
        let identity = process.identity().unwrap();
        process.pause().await.unwrap();
        tokio::time::timeout(GRACE, process.terminate()).await.unwrap();
        assert!(!identity.lives());
    }

    #[tokio::test]
    async fn a_restart_appends_to_the_log_so_that_no_evidence_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        for text in ["first", "second"] {
            let status = process(&format!("echo {text} >&2"), &log).ended().await.unwrap();
            assert!(status.success());
        }
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "first\nsecond\n");
    }
}
