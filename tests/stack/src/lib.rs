//! Starts the simulator, the service and Envoy together, for people and for tests.
//!
//! People use the program `ib-stack` through `make run`, `make up` and `make down`. Tests use [`Stack`],
//! which starts `ib-stack supervise` and speaks with it over its standard input and output: when the
//! test's process is gone, however it ended, the supervisor ends everything that it started.
#![forbid(unsafe_code)]

mod client;
mod error;
mod options;
mod protocol;

pub mod commands;
pub mod configuration;
pub mod running;

pub use client::Stack;
pub use error::StackError;
pub use options::{Addresses, Part, StackOptions};
