//! Who runs a stack in a run directory: a lock while it lives, and process ids for later commands.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::running::identity::ProcessIdentity;
use crate::{Addresses, Part, StackError};

/// What the launcher writes down for `up`, `down` and `browser`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackState {
    /// The launcher.
    pub launcher: ProcessIdentity,
    /// The parts that it started and that have not ended.
    pub parts: BTreeMap<Part, ProcessIdentity>,
    /// Where the parts can be reached.
    pub addresses: Addresses,
    /// What clients put before a path.
    pub base_url: String,
    /// Whether every part is ready.
    pub ready: bool,
}

impl StackState {
    /// The state in a run directory; nothing when there is none or it cannot be understood.
    #[must_use]
    pub fn read(run_directory: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(state_file(run_directory)).ok()?).ok()
    }

    /// Writes the state, and beside it a plain pid file for each process.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write(&self, run_directory: &Path) -> Result<(), StackError> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| StackError::configuration("stack.json", error))?;
        replace(&state_file(run_directory), &text)?;
        replace(&launcher_pid_file(run_directory), pid_line(self.launcher).as_bytes())?;
        for part in Part::ALL {
            let file = part_pid_file(run_directory, part);
            match self.parts.get(&part) {
                Some(identity) => replace(&file, pid_line(*identity).as_bytes())?,
                None => remove(&file)?,
            }
        }
        Ok(())
    }

    /// Removes what `write` wrote.
    ///
    /// # Errors
    ///
    /// When a file is there and cannot be removed.
    pub fn clear(run_directory: &Path) -> Result<(), StackError> {
        remove(&state_file(run_directory))?;
        remove(&launcher_pid_file(run_directory))?;
        Part::ALL.iter().try_for_each(|part| remove(&part_pid_file(run_directory, *part)))
    }

    /// Whether every part of it still lives.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        Part::ALL.iter().all(|part| self.parts.get(part).is_some_and(|identity| identity.lives()))
    }
}

/// Takes the run directory for this process. The lock ends with the file, and so with the process.
///
/// # Errors
///
/// `AlreadyUp` when another process has it, or an error of the file.
pub fn lock(run_directory: &Path) -> Result<File, StackError> {
    std::fs::create_dir_all(run_directory)
        .map_err(StackError::io(run_directory.display().to_string()))?;
    let path = run_directory.join("stack.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StackError::io(path.display().to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StackError::AlreadyUp { run_directory: run_directory.to_owned() })
        }
        Err(TryLockError::Error(source)) => {
            Err(StackError::Io { what: path.display().to_string(), source })
        }
    }
}

/// The output of a stack in the background.
#[must_use]
pub fn background_log(run_directory: &Path) -> PathBuf {
    run_directory.join("logs").join("stack.log")
}

fn state_file(run_directory: &Path) -> PathBuf {
    run_directory.join("stack.json")
}

fn launcher_pid_file(run_directory: &Path) -> PathBuf {
    run_directory.join("stack.pid")
}

fn part_pid_file(run_directory: &Path, part: Part) -> PathBuf {
    run_directory.join(format!("{}.pid", part.name()))
}

fn pid_line(identity: ProcessIdentity) -> String {
    format!("{}\n", identity.process_id)
}

// By a rename, so that a reader sees the old file or the new one, never a half.
fn replace(path: &Path, content: &[u8]) -> Result<(), StackError> {
    let new = path.with_added_extension("new");
    std::fs::write(&new, content)
        .and_then(|()| std::fs::rename(&new, path))
        .map_err(StackError::io(path.display().to_string()))
}

fn remove(path: &Path) -> Result<(), StackError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StackError::Io { what: path.display().to_string(), source: error })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> StackState {
        let own = ProcessIdentity::of(std::process::id()).unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        StackState {
            launcher: own,
            parts: Part::ALL.map(|part| (part, own)).into(),
            addresses: Addresses {
                gateway: address,
                envoy_admin: address,
                envoy_stats: address,
                service_public: address,
                service_internal: address,
                simulator_control: address,
                simulator_tls: address,
                ca_pem: "ca.pem".into(),
                run_directory: "run".into(),
                gateway_credential_file: "credential".into(),
            },
            base_url: "http://127.0.0.1:1".to_owned(),
            ready: true,
        }
    }

    #[test]
    fn a_later_command_reads_what_the_launcher_wrote() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(StackState::read(folder.path()), None);
        let mut state = state();
        state.write(folder.path()).unwrap();
        assert_eq!(StackState::read(folder.path()), Some(state.clone()));
        let pid_file = folder.path().join("envoy.pid");
        assert_eq!(
            std::fs::read_to_string(&pid_file).unwrap(),
            format!("{}\n", std::process::id())
        );
        assert!(state.is_whole());
        state.parts.remove(&Part::Envoy);
        state.write(folder.path()).unwrap();
        assert!(!pid_file.exists() && !state.is_whole());
        StackState::clear(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn two_stacks_cannot_share_a_run_directory() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        assert!(matches!(lock(folder.path()), Err(StackError::AlreadyUp { .. })));
        drop(first);
        lock(folder.path()).unwrap();
    }
}
