//! The comparison from its start to its files.

use std::io::Write as _;

use crate::{
    arguments::Compare,
    error::{BenchError, Result, failed},
    figures::Figures,
    load, machine, plot, report, rounds,
    stage::Stage,
    traffic::Body,
    variants::{self, Group, Variant},
};

/// Compares, and prints and writes what came of it.
pub(crate) fn run(options: &Compare) -> Result<()> {
    let mut out = std::io::stdout();
    let printed = BenchError::io("standard output");
    if options.list {
        let lines = variants::all();
        let lines = lines.iter().map(|variant| format!("{:<16} {}\n", variant.name, variant.title));
        return out.write_all(lines.collect::<String>().as_bytes()).map_err(printed);
    }
    let variants = chosen(variants::all(), &options.only)?;
    let needs_service = variants.iter().any(|variant| variant.needs_service);
    let grants = usize::try_from(options.grants).ok().filter(|_| needs_service);
    let stage = Stage::set(&options.inputs, grants)?;
    load::prepare(&stage)?;
    let samples = rounds::run(&stage, &variants, options)?;
    let rows: Vec<_> = variants
        .iter()
        .filter_map(|variant| Some((variant, Figures::of(samples.get(variant.name)?)?)))
        .collect();
    let folder = &options.inputs.results;
    std::fs::create_dir_all(folder).map_err(BenchError::file(folder))?;
    let name = report::today();
    let table = report::table(&rows);
    let written = report::write(folder, &name, &rows, &machine::describe(&stage)?, options)?;
    let drawn = plot::draw(folder, &name, &rows)?;
    let end =
        format!("seed {}\n\n{table}\n{}\n{}\n", options.seed, written.display(), drawn.display());
    out.write_all(end.as_bytes()).map_err(printed)
}

/// The variants that were asked for, and plain Envoy for each size of answers that they have.
fn chosen(all: Vec<Variant>, only: &[String]) -> Result<Vec<Variant>> {
    if only.is_empty() {
        return Ok(all);
    }
    if let Some(unknown) = only.iter().find(|name| !all.iter().any(|one| one.name == **name)) {
        return failed(format!("--only: there is no variant `{unknown}`; --list names them"));
    }
    let is_asked_for = |variant: &Variant| only.iter().any(|name| name == variant.name);
    let bodies: Vec<Body> =
        all.iter().filter(|variant| is_asked_for(variant)).map(|variant| variant.body).collect();
    let is_chosen = |variant: &Variant| match variant.group {
        Group::Plain => bodies.contains(&variant.body),
        Group::Peer | Group::Ours => is_asked_for(variant),
    };
    Ok(all.into_iter().filter(is_chosen).collect())
}
