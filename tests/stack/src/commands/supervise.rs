//! `ib-stack supervise`: one stack for one test process, commanded by lines of JSON.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

use super::arguments::SuperviseArguments;
use crate::configuration::secrets::random;
use crate::protocol::{Answer, Request};
use crate::running::layout::Programs;
use crate::running::places::Places;
use crate::running::stack::{Plan, RunningStack};
use crate::{Part, StackError, StackOptions};

/// Serves requests until the input ends (the test is gone) or a signal comes, then ends the stack.
///
/// # Errors
///
/// When signals cannot be received, or the folder of the stack cannot be removed.
pub async fn supervise(arguments: SuperviseArguments) -> Result<(), StackError> {
    let mut stop = signal(SignalKind::terminate()).map_err(StackError::io("SIGTERM"))?;
    let (mut requests, mut closed) = requests();
    let mut supervisor = Supervisor { arguments, folder: None, stack: None };
    loop {
        let request = tokio::select! {
            request = requests.recv() => request,
            _ = stop.recv() => None,
        };
        let Some(request) = request else { break };
        // The test may go away while a part is being started: nobody waits for that any more.
        let answer = tokio::select! {
            answer = supervisor.answer(&request) => answer,
            _ = closed.changed() => break,
            _ = stop.recv() => break,
        };
        if write(&answer).is_err() {
            break;
        }
    }
    supervisor.end().await
}

struct Supervisor {
    arguments: SuperviseArguments,
    folder: Option<PathBuf>,
    stack: Option<RunningStack>,
}

impl Supervisor {
    async fn answer(&mut self, line: &str) -> Answer {
        match self.carry_out(line).await {
            Ok(answer) => answer,
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    async fn carry_out(&mut self, line: &str) -> Result<Answer, StackError> {
        let request: Request =
            serde_json::from_str(line).map_err(|error| StackError::Protocol(error.to_string()))?;
        let (stack, request) = match (request, self.stack.as_mut()) {
            (Request::Start(options), None) => return self.start(*options).await,
            (request, Some(stack)) => (stack, request),
            (_, None) => return Err(StackError::Protocol("the stack is not started".to_owned())),
        };
        match request {
            Request::Start(_) => {
                return Err(StackError::Protocol("the stack is started already".to_owned()));
            }
            Request::StartPart(part) => stack.start(part).await?,
            Request::Kill(part) => stack.kill(part).await?,
            Request::Pause(part) => stack.pause(part).await?,
            Request::Resume(part) => stack.resume(part)?,
            Request::ProcessId(part) => return Ok(Answer::ProcessId(stack.process_id(part))),
        }
        Ok(Answer::Done)
    }

    async fn start(&mut self, options: StackOptions) -> Result<Answer, StackError> {
        let (places, dns_socket) = Places::free(options.simulator_port_8443)?;
        let run_directory = unique_folder(&self.arguments.stacks)?;
        self.folder = Some(run_directory.clone());
        let programs = Programs::find(self.arguments.envoy.clone())?;
        let plan = Plan { programs, run_directory, places, dns_socket, options };
        // Kept in `self` from here on, so that `end` finds what was started whatever happens.
        let stack = self.stack.insert(RunningStack::prepare(plan)?);
        for part in Part::ALL {
            stack.start(part).await?;
        }
        Ok(Answer::Started(Box::new(stack.addresses())))
    }

    async fn end(self) -> Result<(), StackError> {
        if let Some(stack) = self.stack {
            stack.stop().await;
        }
        match self.folder {
            Some(folder) if !self.arguments.keep && folder.exists() => {
                std::fs::remove_dir_all(&folder)
                    .map_err(StackError::io(folder.display().to_string()))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn unique_folder(parent: &Path) -> Result<PathBuf, StackError> {
    let name: String = random::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(parent.join(name))
}

/// The lines of standard input, and a sign that it ended. A thread reads them, since a blocked read
/// of standard input cannot be cancelled; it ends with the process.
fn requests() -> (UnboundedReceiver<String>, watch::Receiver<()>) {
    let (sender, receiver) = unbounded_channel();
    let (closing, closed) = watch::channel(());
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
        drop(closing);
    });
    (receiver, closed)
}

fn write(answer: &Answer) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, answer)?;
    output.write_all(b"\n")?;
    output.flush()
}
