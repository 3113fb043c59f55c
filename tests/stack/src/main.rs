//! `ib-stack`: the launcher that `make run`, `make up`, `make down`, `make browser` and the tests share.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use ib_stack::StackError;
use ib_stack::commands::arguments::{Arguments, Command};
use ib_stack::commands::foreground::{self, Mode};
use ib_stack::commands::{background, browser, files, supervise};

// One thread does: the work is waiting. It is also the parent of every child, for as long as it lives.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match carry_out(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(command: Command) -> Result<(), StackError> {
    match command {
        Command::Run(arguments) => foreground::run(arguments, Mode::Foreground).await,
        Command::Background(arguments) => foreground::run(arguments, Mode::Background).await,
        Command::Up(arguments) => background::up(arguments).await,
        Command::Down(arguments) => background::down(arguments).await,
        Command::Browser(arguments) => browser::browse(arguments).await,
        Command::Files(arguments) => files::write(arguments),
        Command::Supervise(arguments) => supervise::supervise(arguments).await,
    }
}
