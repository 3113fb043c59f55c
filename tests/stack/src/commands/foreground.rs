//! `ib-stack run`, and the process that `ib-stack up` leaves behind: one stack, kept until a signal.

use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::arguments::StackArguments;
use super::console::line;
use super::demonstration::demonstrate;
use super::oauth_client::Call;
use super::state::{self, StackState};
use crate::running::identity::ProcessIdentity;
use crate::running::process::end_leftover;
use crate::running::stack::RunningStack;
use crate::{Part, StackError};

/// Whether a person watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `run`: shows one proxied call, and ends with the terminal.
    Foreground,
    /// What `up` starts: no call, survives the terminal, and mends itself when `up` is said again.
    Background,
}

/// Starts a stack and keeps it until Ctrl-C, SIGTERM or, in the foreground, the terminal's end.
///
/// # Errors
///
/// When the stack cannot be started, or the demonstration fails; everything is ended then.
pub async fn run(arguments: StackArguments, mode: Mode) -> Result<(), StackError> {
    let run_directory = arguments.run.run_directory.clone();
    let _lock = state::lock(&run_directory)?;
    if let Some(earlier) = StackState::read(&run_directory) {
        // Its launcher was killed, or it would have the lock.
        for identity in earlier.parts.into_values() {
            end_leftover(identity).await;
        }
    }
    let mut signals = Signals::new(mode)?;
    let mut stack = RunningStack::prepare(arguments.plan()?)?;
    let outcome = tokio::select! {
        outcome = live(&mut stack, &run_directory, mode) => outcome,
        () = signals.end() => Ok(()),
    };
    line("ending the stack ...");
    stack.stop().await;
    StackState::clear(&run_directory)?;
    outcome
}

async fn live(
    stack: &mut RunningStack,
    run_directory: &Path,
    mode: Mode,
) -> Result<(), StackError> {
    let steps = if mode == Mode::Foreground { 4 } else { 3 };
    for (number, part) in (1..).zip(Part::ALL) {
        line(format!("[{number}/{steps}] starting {part}"));
        stack.start(part).await?;
        write_state(stack, run_directory, part == Part::Envoy)?;
    }
    if mode == Mode::Foreground {
        line("[4/4] logging the demo user in and calling through the gateway");
        show(&demonstrate(&stack.base_url(), &stack.addresses()).await?);
    }
    for text in overview(stack) {
        line(text);
    }
    if mode == Mode::Foreground {
        line("The stack stays up until Ctrl-C.");
    }
    keep(stack, run_directory).await
}

/// Reports parts that end, and starts them again when asked to (SIGUSR1, by `up`). A part that a
/// person has killed stays dead until then: whoever watches an outage is not disturbed.
async fn keep(stack: &mut RunningStack, run_directory: &Path) -> Result<(), StackError> {
    let mut children = listen(SignalKind::child())?;
    let mut mend = listen(SignalKind::user_defined1())?;
    loop {
        tokio::select! {
            _ = children.recv() => {
                for (part, status) in stack.take_ended() {
                    line(format!("{part} ended ({status}); `make up` starts it again"));
                }
            }
            _ = mend.recv() => {
                // The simulator makes a new CA, which the others read when they start.
                if stack.process_id(Part::Simulator).is_none() {
                    for part in [Part::Envoy, Part::Service] {
                        stack.end(part).await;
                    }
                }
                for part in Part::ALL {
                    if stack.process_id(part).is_none() {
                        line(format!("starting {part} again"));
                        stack.start(part).await?;
                    }
                }
            }
        }
        write_state(stack, run_directory, true)?;
    }
}

fn write_state(stack: &RunningStack, run_directory: &Path, ready: bool) -> Result<(), StackError> {
    let launcher = ProcessIdentity::of(std::process::id())
        .ok_or_else(|| StackError::configuration("/proc", "it does not show this process"))?;
    let (parts, addresses, base_url) = (stack.identities(), stack.addresses(), stack.base_url());
    StackState { launcher, parts, addresses, base_url, ready }.write(run_directory)
}

fn show(call: &Call) {
    line("");
    line(&call.request);
    line("Authorization: Bearer (the demo user's access token)");
    line("");
    line(call.status.to_string());
    line(&call.body);
}

fn overview(stack: &RunningStack) -> Vec<String> {
    let addresses = stack.addresses();
    let folder = stack.layout().folder().display().to_string();
    vec![
        String::new(),
        format!("gateway             {}", stack.base_url()),
        format!("console             {}/console", stack.base_url()),
        format!("Envoy admin         http://{}", addresses.envoy_admin),
        format!("Envoy metrics       http://{}/stats/prometheus", addresses.envoy_stats),
        format!("service, public     http://{}", addresses.service_public),
        format!("service, internal   http://{} (/metrics)", addresses.service_internal),
        format!("simulator           {} (TLS)", addresses.simulator_tls),
        format!("simulator control   http://{}", addresses.simulator_control),
        format!("simulator's CA      {}", addresses.ca_pem.display()),
        format!("files and logs      {folder}"),
        String::new(),
    ]
}

/// The signals that end a stack.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    mode: Mode,
}

impl Signals {
    fn new(mode: Mode) -> Result<Self, StackError> {
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            mode,
        })
    }

    async fn end(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => if self.mode == Mode::Foreground { return },
            }
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, StackError> {
    signal(kind).map_err(StackError::io("signals"))
}
