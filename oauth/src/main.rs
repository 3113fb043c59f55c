//! The command line of the OAuth service.
#![forbid(unsafe_code)]

use std::{error::Error, io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use ib_oauth::Settings;

/// The OAuth 2.0 service of ib-gateway.
///
/// It logs people in at IntelligenceBank, issues tokens for their sessions, and tells the gateway
/// what a token stands for. Every setting of the file may be overridden by the environment:
/// IB_OAUTH__SECTION__FIELD, such as IB_OAUTH__TOKENS__CODE_SECONDS=30; an element of a list by its
/// number, such as IB_OAUTH__CLIENTS__0__NAME; whole lists and maps as JSON.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT, then finish what was accepted. The log goes to standard error
    /// as JSON lines.
    Serve(Config),
    /// Read the settings and the files that they name, say what is wrong, and end: 0 when all is
    /// well, 1 when not.
    Check(Config),
}

#[derive(clap::Args)]
struct Config {
    /// The settings, in YAML; oauth/example.yaml explains each.
    #[arg(long, value_name = "FILE", env = "IB_OAUTH_CONFIG")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Serve(Config { config }) => serve(&config),
        Command::Check(Config { config }) => check(&config),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            // Nothing is left to be done where standard error is closed.
            writeln!(std::io::stderr(), "ib-oauth: {cause}").ok();
            ExitCode::FAILURE
        }
    }
}

fn serve(config: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let settings = Settings::load(config)?;
    ib_oauth::start_log(settings.log())?;
    Ok(ib_oauth::serve(settings)?)
}

fn check(config: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let settings = Settings::load(config)?;
    for warning in settings.warnings() {
        writeln!(std::io::stderr(), "ib-oauth: warning: {warning}")?;
    }
    writeln!(std::io::stdout(), "{}: the settings can be used", config.display())?;
    Ok(())
}
