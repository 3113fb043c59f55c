//! The figures as Markdown.

use super::{CACHE_MEGABYTES, Measured};
use crate::arguments::Store;

/// The table, with what was asked for beside what was found.
pub(super) fn text(measured: &Measured, options: &Store, machine: &[(&str, String)]) -> String {
    let Measured { open, raw, resident: (started, most), .. } = measured;
    let milliseconds = |microseconds: u64| microseconds as f64 / 1_000.0;
    let megabytes = |kilobytes: u64| kilobytes as f64 / 1_024.0;
    let machine: String =
        machine.iter().map(|(what, which)| format!("- {what}: {which}\n")).collect();
    format!(
        "# The service on redb with {grants} live grants\n\n\
         The service has one core, the load the other. The store's cache has {CACHE_MEGABYTES} MB. \
         Each grant has a session, an access token, a refresh token, three lines of the index, and a \
         code of another session beside it: eight records. `make bench-store`, {seconds} s each.\n\n\
         | what | asked for | measured |\n|---|--:|--:|\n\
         | introspection at {rate} a second beside two writers, p50 | | {p50:.2} ms |\n\
         | p99 | under 5 ms | {p99:.2} ms |\n\
         | p99.9, longest | | {p999:.2} ms, {longest:.2} ms |\n\
         | introspections a second that were had | {rate} | {had:.0} |\n\
         | code exchanges and refreshes a second of the writers meanwhile | | {writes:.0} |\n\
         | resident memory: started, and the most | under 200 MB | {started:.0} MB, {most:.0} MB |\n\
         | start, to ready | under 1 s | {start:.2} s |\n\
         | start after SIGKILL | under 1 s | {after_kill:.2} s |\n\
         | introspections a second, 32 connections | | {introspections:.0} |\n\
         | code exchanges a second, 32 connections | | {exchanges:.0} |\n\
         | refreshes a second, 32 connections | | {refreshes:.0} |\n\
         | the engine alone: records read a second, one thread ({distinct} distinct) | | {one:.0} |\n\
         | seeding | | {seeding:.0} s |\n\
         | the file | | {file:.0} MB |\n\n\
         Latencies count from the moment at which a request was due, so that a pause of the service \
         counts for all requests that it kept waiting. An introspection reads four records in two \
         transactions, opens their seals and writes JSON; the engine's rate is of one record.\n\n\
         {machine}",
        grants = options.grants,
        seconds = options.seconds,
        rate = options.rate,
        p50 = milliseconds(open.p50),
        p99 = milliseconds(open.p99),
        p999 = milliseconds(open.p999),
        longest = milliseconds(open.longest),
        had = open.rate,
        writes = open.writes,
        started = megabytes(*started),
        most = megabytes(*most),
        start = measured.start.as_secs_f64(),
        after_kill = measured.start_after_kill.as_secs_f64(),
        introspections = measured.introspections,
        exchanges = measured.exchanges,
        refreshes = measured.refreshes,
        distinct = raw.distinct,
        one = raw.one,
        seeding = measured.seeding.as_secs_f64(),
        file = measured.file_bytes as f64 / 1_048_576.0,
    )
}
