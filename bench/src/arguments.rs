//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::upstream::UpstreamOptions;

/// Measures the filter side by side with what else a gateway could use.
///
/// Two cores are needed: Envoy has core 0, load generator, upstream and service share core 1. Every
/// variant is checked in every round: the status of each answer, and how each request looked to the
/// upstream. A variant that did not do its work makes the command fail.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compare all variants, in rounds of shuffled order, and write a table and a plot.
    Compare(Compare),
    /// Measure how long an honest client waits, with and without others who flood at ten times a limit.
    Flood(Flood),
    /// Send a million requests with a million different tokens, half of them bad, and watch Envoy's
    /// memory.
    Soak(Soak),
    /// Serve very many grants from the embedded store and measure introspections, exchanges, memory
    /// and starts.
    Store(Store),
    /// The upstream; started by the others.
    #[command(hide = true)]
    Upstream(UpstreamOptions),
}

/// Programs and files that a run needs. `bench/run.sh` gives them all.
#[derive(Debug, clap::Args)]
pub(crate) struct Inputs {
    /// The Envoy binary.
    #[arg(long, value_name = "FILE", env = "ENVOY", default_value = "envoy")]
    pub(crate) envoy: PathBuf,
    /// The plugin.
    #[arg(
        long,
        value_name = "FILE",
        env = "BENCH_PLUGIN",
        default_value = "target/bench/bin/plugin.wasm"
    )]
    pub(crate) plugin: PathBuf,
    /// The folder of the filters to compare with.
    #[arg(
        long,
        value_name = "FOLDER",
        env = "BENCH_FILTERS",
        default_value = "target/bench/filters"
    )]
    pub(crate) filters: PathBuf,
    /// The program of the OAuth service.
    #[arg(
        long,
        value_name = "FILE",
        env = "BENCH_SERVICE",
        default_value = "target/bench/bin/ib-oauth"
    )]
    pub(crate) service: PathBuf,
    /// The repository, whose envoy/envoy.yaml is measured.
    #[arg(long, value_name = "FOLDER", env = "BENCH_REPOSITORY", default_value = ".")]
    pub(crate) repository: PathBuf,
    /// Files of the run; emptied at its start.
    #[arg(long, value_name = "FOLDER", env = "BENCH_WORK", default_value = "target/bench")]
    pub(crate) work: PathBuf,
    /// Where the results go.
    #[arg(long, value_name = "FOLDER", default_value = "bench/results")]
    pub(crate) results: PathBuf,
}

/// How to compare.
#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// How many rounds. Fewer than five are for trying things out.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// How long each measurement lasts, in seconds.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,
    /// How long each variant is warmed up before, in seconds.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) warm_up: u32,
    /// Connections of the load generator.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) connections: u32,
    /// These variants alone, separated by commas, and plain Envoy.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Name the variants and end.
    #[arg(long)]
    pub(crate) list: bool,
    /// The order of the rounds follows from this number.
    #[arg(long, value_name = "N", default_value_t = 20_261_121)]
    pub(crate) seed: u64,
    /// How many grants to seed, for the misses: more than a cache holds.
    #[arg(long, value_name = "N", default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    pub(crate) grants: u32,
}

/// How to flood.
#[derive(Debug, clap::Args)]
pub(crate) struct Flood {
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// How many rounds. Fewer than five are for trying things out.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// How long each measurement lasts, in seconds.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,
    /// The limit, in requests a second. The flood sends ten times as many.
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    pub(crate) limit: u32,
    /// Requests a second of the honest client.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) honest: u32,
}

/// How to soak.
#[derive(Debug, clap::Args)]
pub(crate) struct Soak {
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// How many requests, each with a token of its own.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    pub(crate) requests: u32,
    /// Connections that send them.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) connections: u32,
}

/// How to measure the store.
#[derive(Debug, clap::Args)]
pub(crate) struct Store {
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// How many grants.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    pub(crate) grants: u32,
    /// Introspections a second beside the writers.
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// How long each measurement lasts, in seconds.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,
}
