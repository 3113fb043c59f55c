//! The flood's table and its file.

use std::fmt::Write as _;

use super::{CONNECTIONS, Run, TIMES};
use crate::{
    arguments::Flood,
    report::{machine_table, today},
};

/// The table, as Markdown.
pub(super) fn table(rows: &[(&'static str, Run)]) -> String {
    let mut text = String::from(
        "| beside the honest client | its p50 ms | its p99 ms | longest ms | its requests | refused | flood, requests/s | of those passed |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (title, run) in rows {
        let [p50, p99, longest] = [run.p50, run.p99, run.longest].map(|time| time as f64 / 1000.0);
        // Writing to a text does not fail.
        let _written = writeln!(
            text,
            "| {title} | {p50:.2} | {p99:.2} | {longest:.2} | {} | {} | {} | {} |",
            run.honest, run.refused, run.flood_per_second, run.flood_passed_per_second
        );
    }
    text
}

/// The whole report.
pub(super) fn text(table: &str, options: &Flood, machine: &[(&'static str, String)]) -> String {
    format!(
        "# An honest client beside a flood, {}\n\n\
         {} rounds of {} s for each condition, each on a fresh Envoy with one worker on a core of its own\n\
         and the whole chain of envoy.yaml. The honest client has an address and a user of its own and sends\n\
         {} requests a second. The flood has one address and one user, {CONNECTIONS} connections, and means to\n\
         send {TIMES} times the limit, which is {} requests a second. Times are from when a request was due;\n\
         medians over the rounds. Flood, honest client, upstream and service share the other core, so a part\n\
         of what the honest client waits is spent there. No TLS.\n\n{table}\n{}",
        today(),
        options.rounds,
        options.seconds,
        options.honest,
        options.limit,
        machine_table(machine),
    )
}
