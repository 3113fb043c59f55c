//! What a person can say to `ib-stack`: every address and folder has a default and an environment name.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::running::layout::Programs;
use crate::running::places::{Places, dns_socket};
use crate::running::stack::Plan;
use crate::{StackError, StackOptions};

/// Starts the simulator, the service and Envoy together.
#[derive(Debug, Parser)]
#[command(name = "ib-stack", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `ib-stack` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts the stack, logs a demo user in, makes one proxied call, stays until Ctrl-C
    Run(StackArguments),
    /// Starts the stack in the background and returns when it is ready
    Up(StackArguments),
    /// Ends the stack that `up` or `run` started
    Down(RunDirectory),
    /// Opens Chromium with the simulator's names and CA
    Browser(BrowserArguments),
    /// Runs one stack for a test, by JSON lines on standard input and output
    Supervise(SuperviseArguments),
    /// Writes what the containers of docker-compose.yml are started with, and starts nothing
    Files(FilesArguments),
    /// What `up` leaves running
    #[command(hide = true)]
    Background(StackArguments),
}

/// Which stack a command means.
#[derive(Debug, Clone, Args)]
pub struct RunDirectory {
    /// Files of the run: configuration, secrets, store, logs, process ids
    #[arg(long, env = "RUN_DIRECTORY", default_value = "target/run")]
    pub run_directory: PathBuf,
}

/// The stack of `run` and `up`.
#[derive(Debug, Clone, Args)]
pub struct StackArguments {
    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would replace the help of the program")]
    pub run: RunDirectory,
    /// The Envoy binary
    #[arg(long, env = "ENVOY")]
    pub envoy: Option<PathBuf>,
    /// The gateway: Envoy's listener for clients
    #[arg(long, env = "GATEWAY", default_value = "127.0.0.1:8080")]
    pub gateway: SocketAddr,
    /// Envoy's admin interface
    #[arg(long, env = "ENVOY_ADMIN", default_value = "127.0.0.1:9901")]
    pub envoy_admin: SocketAddr,
    /// Envoy's listener that shows metrics only
    #[arg(long, env = "ENVOY_STATS", default_value = "127.0.0.1:9902")]
    pub envoy_stats: SocketAddr,
    /// The service's public port
    #[arg(long, env = "SERVICE_PUBLIC", default_value = "127.0.0.1:8081")]
    pub service_public: SocketAddr,
    /// The service's internal port
    #[arg(long, env = "SERVICE_INTERNAL", default_value = "127.0.0.1:8082")]
    pub service_internal: SocketAddr,
    /// The simulator's TLS listener; port 8443 is taken where 443 cannot be bound
    #[arg(long, env = "SIMULATOR", default_value = "127.0.0.2:443")]
    pub simulator: SocketAddr,
    /// The simulator's control API
    #[arg(long, env = "SIMULATOR_CONTROL", default_value = "127.0.0.1:8444")]
    pub simulator_control: SocketAddr,
    /// A stage prefix before every path, such as /dev
    #[arg(long, env = "STAGE", default_value = "")]
    pub stage: String,
}

/// The browser for the stack of `run` or `up`.
#[derive(Debug, Clone, Args)]
pub struct BrowserArguments {
    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would replace the help of the program")]
    pub run: RunDirectory,
    /// The Chromium binary
    #[arg(long, env = "CHROMIUM")]
    pub chromium: Option<PathBuf>,
    /// More words for Chromium's command line, after `--`
    #[arg(last = true)]
    pub more: Vec<String>,
}

/// The files of containers.
#[derive(Debug, Clone, Args)]
pub struct FilesArguments {
    /// Where each part has a folder of its own, here and in its container
    #[arg(long, default_value = "/run/ib-gateway")]
    pub folder: PathBuf,
    /// What clients put before a path: scheme, host, port, and a stage as its path
    #[arg(long, env = "GATEWAY_URL", default_value = "http://127.0.0.1:8080")]
    pub gateway_url: String,
    /// Envoy's admin interface, within its container
    #[arg(long, env = "ENVOY_ADMIN", default_value = "127.0.0.1:9901")]
    pub envoy_admin: SocketAddr,
    /// The profiles of docker-compose.yml that are on, with commas between them
    #[arg(long, env = "COMPOSE_PROFILES", default_value = "")]
    pub profiles: String,
}

/// The stacks of tests.
#[derive(Debug, Clone, Args)]
pub struct SuperviseArguments {
    /// The Envoy binary
    #[arg(long, env = "ENVOY")]
    pub envoy: Option<PathBuf>,
    /// The folder in which each stack makes one of its own
    #[arg(long, env = "IB_GATEWAY_STACKS", default_value = "target/stacks")]
    pub stacks: PathBuf,
    /// Keeps a stack's folder when it ends
    #[arg(long, env = "IB_GATEWAY_KEEP", value_parser = clap::builder::FalseyValueParser::new(), default_value = "false")]
    pub keep: bool,
}

impl StackArguments {
    /// Finds the programs and checks that the addresses are free.
    ///
    /// # Errors
    ///
    /// When something is missing, an address is taken, or one is not a loopback address: a development
    /// stack, with its demo users, is not to be reached from elsewhere.
    pub fn plan(&self) -> Result<Plan, StackError> {
        let places = Places {
            gateway: self.gateway,
            envoy_admin: self.envoy_admin,
            envoy_stats: self.envoy_stats,
            service_public: self.service_public,
            service_internal: self.service_internal,
            simulator_control: self.simulator_control,
            simulator_tls: self.simulator,
        };
        places.check_loopback()?;
        places.check()?;
        Ok(Plan {
            programs: Programs::find(self.envoy.clone())?,
            run_directory: self.run.run_directory.clone(),
            places: places.with_fallback(),
            dns_socket: dns_socket()?,
            options: StackOptions { stage: Some(self.stage.clone()), ..StackOptions::default() },
        })
    }
}
