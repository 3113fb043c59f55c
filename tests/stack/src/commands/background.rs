//! `ib-stack up` and `ib-stack down`: a stack that outlives the command.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::arguments::{RunDirectory, StackArguments};
use super::console::line;
use super::state::{self, StackState};
use crate::StackError;
use crate::running::layout::tail;
use crate::running::process::{end_leftover, end_within, send};
use crate::running::readiness;

const INTERVAL: Duration = Duration::from_millis(50);
/// Three parts, each with its own deadline, and some time for the rest.
const UP_DEADLINE: Duration = readiness::DEADLINE.saturating_mul(4);
/// The launcher ends three parts, each within five seconds.
const DOWN_DEADLINE: Duration = Duration::from_secs(20);

/// Starts a stack in the background and waits until it is ready. One that is up already is left as it
/// is, but for parts that ended: those are started again.
///
/// # Errors
///
/// When it ends early or is not ready in time; with the end of its log.
pub async fn up(arguments: StackArguments) -> Result<(), StackError> {
    let run_directory = &arguments.run.run_directory;
    match state::lock(run_directory) {
        Ok(lock) => {
            drop(lock);
            let launcher = start(run_directory)?;
            wait(run_directory, Some(launcher), 0).await
        }
        Err(StackError::AlreadyUp { .. }) => {
            let shown = whole_lines(&state::background_log(run_directory)).len();
            if let Some(state) = StackState::read(run_directory).filter(|state| state.ready) {
                if state.is_whole() {
                    line(format!("the stack is up already: {}", state.base_url));
                    return Ok(());
                }
                line("the stack is up, but not every part of it; mending it");
                send(state.launcher.process_id, Signal::USR1)?;
            }
            wait(run_directory, None, shown).await
        }
        Err(error) => Err(error),
    }
}

/// Ends the stack that runs in a run directory, and only that.
///
/// # Errors
///
/// When its files cannot be removed.
pub async fn down(arguments: RunDirectory) -> Result<(), StackError> {
    let run_directory = &arguments.run_directory;
    let Some(state) = StackState::read(run_directory) else {
        line("no stack is up");
        return Ok(());
    };
    end_within(state.launcher, DOWN_DEADLINE).await;
    // What a launcher that was killed has left behind.
    for identity in state.parts.into_values() {
        end_leftover(identity).await;
    }
    StackState::clear(run_directory)?;
    line("the stack is down");
    Ok(())
}

fn start(run_directory: &Path) -> Result<Child, StackError> {
    let log = state::background_log(run_directory);
    let folder = log.parent().unwrap_or(run_directory);
    std::fs::create_dir_all(folder).map_err(StackError::io(folder.display().to_string()))?;
    let output = File::create(&log).map_err(StackError::io(log.display().to_string()))?;
    let errors = output.try_clone().map_err(StackError::io(log.display().to_string()))?;
    let program = std::env::current_exe().map_err(StackError::io("this program's own path"))?;
    Command::new(program)
        .arg("background")
        // The same words; what came by the environment is inherited.
        .args(std::env::args_os().skip(2))
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(StackError::io("the background process"))
}

/// Waits until the stack is whole, showing what its log gains after the first `shown` lines.
async fn wait(
    run_directory: &Path,
    mut launcher: Option<Child>,
    mut shown: usize,
) -> Result<(), StackError> {
    let log = state::background_log(run_directory);
    let whole = async {
        loop {
            shown = show_from(&log, shown);
            let whole = StackState::read(run_directory)
                .is_some_and(|state| state.ready && state.is_whole() && state.launcher.lives());
            if whole {
                return Ok(());
            }
            let ended = match &mut launcher {
                Some(child) => child.try_wait().ok().flatten().is_some(),
                None => state::lock(run_directory).is_ok(),
            };
            if ended {
                show_from(&log, shown);
                return Err(StackError::configuration("the stack", "it could not be started"));
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::time::timeout(UP_DEADLINE, whole).await.unwrap_or_else(|_elapsed| {
        Err(StackError::configuration(
            "the stack",
            format!("it was not ready after {} s:\n{}", UP_DEADLINE.as_secs(), tail(&log)),
        ))
    })
}

/// Shows the lines of a log after the first `shown`; returns how many have been shown then.
fn show_from(log: &Path, shown: usize) -> usize {
    let lines = whole_lines(log);
    lines.iter().skip(shown).for_each(line);
    shown.max(lines.len())
}

/// The lines of a log that are written to their end.
fn whole_lines(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(str::to_owned).collect()
}
