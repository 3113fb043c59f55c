//! The table: what is printed, and written with the machine's description to a file of the day.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use time::OffsetDateTime;

use crate::{
    arguments::Compare,
    error::{BenchError, Result},
    figures::Figures,
    variants::{Group, Variant},
};

/// Envoy's core counts as busy from here on.
const BUSY: f64 = 0.95;
/// From here on others disturbed the measurement.
const DISTURBED: f64 = 0.03;

/// A variant and its figures.
pub(crate) type Row<'a> = (&'a Variant, Figures);

/// The table, as Markdown.
pub(crate) fn table(rows: &[Row<'_>]) -> String {
    let mut text = String::from(
        "| variant | | requests/s | p50 ms | p99 ms | p99.9 ms | ratio to plain (spread) | us added | us of processor added | Envoy's core | notes |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n",
    );
    for (variant, figures) in rows {
        let [p50, p99, p999] = figures.latencies.map(|latency| latency / 1000.0);
        let (low, high) = figures.spread;
        let ratio = match variant.group {
            Group::Plain => "1".to_owned(),
            _ => format!("{:.3} ({low:.3} to {high:.3})", figures.ratio),
        };
        // Writing to a text does not fail.
        let _written = writeln!(
            text,
            "| `{}` | {} | {:.0} | {p50:.2} | {p99:.2} | {p999:.2} | {ratio} | {:.1} | {:.1} | {:.0} % | {} |",
            variant.name,
            variant.title,
            figures.rate,
            figures.added,
            figures.added_processor,
            figures.envoy_busy * 100.0,
            notes(figures),
        );
    }
    text
}

fn notes(figures: &Figures) -> String {
    let mut notes = Vec::new();
    if figures.envoy_busy + figures.disturbance < BUSY {
        let other = figures.other_core_busy * 100.0;
        notes.push(format!(
            "Envoy waited for the other core ({other:.0} % busy): read the processor's column"
        ));
    }
    if figures.disturbance > DISTURBED {
        notes.push(format!("others took {:.0} % of Envoy's core", figures.disturbance * 100.0));
    }
    notes.join("; ")
}

/// Writes the whole report; gives its file.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    rows: &[Row<'_>],
    machine: &[(&'static str, String)],
    options: &Compare,
) -> Result<PathBuf> {
    let mut text = format!("# Side by side, {name}\n\n");
    let _written = write!(
        text,
        "{} rounds of {} s for each variant after {} s of warm-up, {} connections, seed {}. Medians; the\n\
         ratio is to the plain runs right before and after, in the same round. Envoy has one worker on a\n\
         core of its own; load, upstream and service share the other core. No TLS. Each answer's status and\n\
         each request's look at the upstream were checked. [README.md](../README.md) says what each variant\n\
         does and how to read the columns.\n\n{}\n![requests a second, as a part of plain Envoy's]({name}.svg)\n\n",
        options.rounds,
        options.seconds,
        options.warm_up,
        options.connections,
        options.seed,
        table(rows),
    );
    text.push_str(&machine_table(machine));
    let file = folder.join(format!("{name}.md"));
    std::fs::write(&file, text).map_err(BenchError::file(&file))?;
    Ok(file)
}

/// The machine's description, as Markdown.
pub(crate) fn machine_table(machine: &[(&'static str, String)]) -> String {
    let lines = machine.iter().map(|(what, which)| format!("| {what} | {which} |\n"));
    format!("| measured with | |\n|---|---|\n{}", lines.collect::<String>())
}

/// Today, as in `2026-11-21`.
pub(crate) fn today() -> String {
    OffsetDateTime::from(system_time()).date().to_string()
}

#[allow(clippy::disallowed_methods, reason = "the date in a file's name")]
fn system_time() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
