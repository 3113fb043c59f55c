//! `ib-simulator`: the simulated IntelligenceBank as a program.
#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ib_simulator::{Clock, LogFilterError, Options, Simulator, StartError, start_logging};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// A simulated IntelligenceBank, for tests and demonstrations.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address of the TLS listener for all the simulated hosts
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.2:443")]
    listen: SocketAddr,

    /// Address of the control API, plain HTTP, for tests only
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8444")]
    control: SocketAddr,

    /// File to write the certificate of the authority to, PEM
    #[arg(long, value_name = "FILE")]
    ca_out: PathBuf,

    /// What to log: a level, or a filter such as `info,ib_simulator=trace`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Logging(#[from] LogFilterError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot wait for signals: {0}")]
    Signals(#[from] io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error may be closed; there is nothing left to tell it to.
            let _ = writeln!(io::stderr(), "ib-simulator: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM or SIGINT; open connections are closed at once.
async fn run(arguments: Arguments) -> Result<(), Failure> {
    start_logging(&arguments.log)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut simulator = Simulator::start(Options {
        listen: arguments.listen,
        control: arguments.control,
        ca_out: arguments.ca_out,
        clock: Clock::system(),
    })?;
    tokio::select! {
        result = simulator.ended() => result?,
        _ = terminate.recv() => info!("stopping on SIGTERM"),
        _ = interrupt.recv() => info!("stopping on SIGINT"),
    }
    Ok(())
}
