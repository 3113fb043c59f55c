//! Measures the filter side by side with what else a gateway could use.
#![forbid(unsafe_code)]

mod addresses;
mod arguments;
mod bootstrap;
mod check;
mod clock;
mod compare;
mod cpu;
mod envoy;
mod error;
mod figures;
mod flood;
mod http;
mod jwt;
mod load;
mod machine;
mod measure;
mod plot;
mod process;
mod production;
mod report;
mod rounds;
mod service;
mod soak;
mod stage;
mod store;
mod tokens;
mod traffic;
mod upstream;
mod variants;

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Compare(options) => compare::run(&options),
        Command::Flood(options) => flood::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Store(options) => store::run(&options),
        Command::Upstream(options) => upstream::serve(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            // Nothing is left to be done where standard error is closed.
            let _unheard = writeln!(std::io::stderr(), "ib-bench: {cause}");
            ExitCode::FAILURE
        }
    }
}
