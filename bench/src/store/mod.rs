//! The service on its embedded store with very many live grants: how long introspections take beside a
//! writer, how many there can be, what memory and starts cost, side by side with the engine itself.

mod closed;
mod open;
mod raw;
mod report;
mod requests;

use std::io::Write as _;

use crate::{
    addresses::Addresses,
    arguments::Store,
    clock::now,
    cpu::resident_kilobytes,
    error::{BenchError, Result},
    machine,
    process::{ENVOY_CORE, OTHER_CORE},
    report::today,
    service::{self, Prepared},
    stage::fresh_folder,
    tokens::Maker,
};
use requests::Seeded;

/// The service's own default.
const CACHE_MEGABYTES: u32 = 64;

/// Everything that was measured.
#[derive(Debug)]
struct Measured {
    seeding: std::time::Duration,
    file_bytes: u64,
    start: std::time::Duration,
    start_after_kill: std::time::Duration,
    open: open::Latencies,
    /// Resident memory of the service in kilobytes: started, and the most that was seen.
    resident: (u64, u64),
    introspections: f64,
    exchanges: f64,
    refreshes: f64,
    raw: raw::Rates,
}

/// Measures, and prints and writes what came of it.
pub(crate) fn run(options: &Store) -> Result<()> {
    let folder = fresh_folder(&options.inputs.work)?;
    let addresses = Addresses::free()?;
    let _maker = Maker::new(&folder.join(service::TAG_KEY))?;
    let prepared = Prepared::new(&options.inputs.service, &folder, &addresses, CACHE_MEGABYTES)?;
    let (refresh_tokens, codes) = (folder.join("refresh-tokens.txt"), folder.join("codes.txt"));
    say(&format!("seeding {} grants", options.grants))?;
    let begun = now();
    let files = [("--refresh-tokens", refresh_tokens.as_path()), ("--codes", codes.as_path())];
    prepared.seed(usize::try_from(options.grants).unwrap_or(usize::MAX), &files)?;
    let seeding = begun.elapsed();
    let size = std::fs::metadata(&prepared.store).map_err(BenchError::file(&prepared.store))?;
    let seeded = Seeded::read(&prepared.tokens, &refresh_tokens, &codes)?;

    let machine = machine::basics();
    // Envoy's core is free here: the load has it for itself.
    crate::process::stay_on(ENVOY_CORE)?;
    let service = prepared.serve(OTHER_CORE)?;
    let (start, id) = (service.start, service.process.id());
    let started = resident_kilobytes(id)?;
    let ports = (addresses.service_public, addresses.service_internal);
    say(&format!("{} introspections a second beside a writer", options.rate))?;
    let open = open::run(options, &service, &seeded, ports)?;
    let mut most = open.resident.max(started);
    say("as many as there can be")?;
    let introspections = closed::introspections(options, &service, &seeded, ports.1)?;
    let exchanges = closed::exchanges(options, &seeded, ports.0)?;
    let refreshes = closed::refreshes(options, &seeded, ports.0)?;
    most = most.max(resident_kilobytes(id)?);

    say("a kill and another start")?;
    service.process.kill()?;
    let service = prepared.serve(OTHER_CORE)?;
    let start_after_kill = service.start;
    drop(service);
    say("the engine alone")?;
    let raw = raw::measure(&prepared.store, CACHE_MEGABYTES, &seeded.access, options.seconds)?;
    let measured = Measured {
        seeding,
        file_bytes: size.len(),
        start,
        start_after_kill,
        open,
        resident: (started, most),
        introspections,
        exchanges,
        refreshes,
        raw,
    };
    let text = report::text(&measured, options, &machine);
    let results = &options.inputs.results;
    std::fs::create_dir_all(results).map_err(BenchError::file(results))?;
    let file = results.join(format!("store-{}.md", today()));
    std::fs::write(&file, &text).map_err(BenchError::file(&file))?;
    let end = format!("{text}\n{}\n", file.display());
    std::io::stdout().write_all(end.as_bytes()).map_err(BenchError::io("standard output"))
}

fn say(what: &str) -> Result<()> {
    writeln!(std::io::stderr(), "ib-bench: {what}").map_err(BenchError::io("standard error"))
}
