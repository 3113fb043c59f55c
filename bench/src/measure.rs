//! One measurement: Envoy is started for a variant, tried with one request, warmed up, loaded, and what
//! came of it is checked.

use crate::{
    arguments::Compare,
    check::{self, Before},
    clock::now,
    cpu::{core_time, process_time},
    envoy::Envoy,
    error::{BenchError, Result},
    load::{self, Report, Shape},
    process::{ENVOY_CORE, OTHER_CORE},
    stage::Stage,
    variants::{Group, Load, Variant},
};

/// Tokens that the warm-up of a load of fresh tokens may use up.
const WARM_UP_TOKENS: u32 = 25_000;

/// What was measured.
#[derive(Debug, Clone)]
pub(crate) struct Measurement {
    /// What the load generator says.
    pub(crate) report: Report,
    /// Envoy's processor time for each request, in microseconds.
    pub(crate) processor: f64,
    /// How busy Envoy kept its core, from 0 to 1.
    pub(crate) envoy_busy: f64,
    /// How busy others were on Envoy's core: what disturbs the measurement.
    pub(crate) disturbance: f64,
    /// How busy the other core was, from 0 to 1.
    pub(crate) other_core_busy: f64,
}

impl Measurement {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.report.requests as f64 * 1e6 / self.report.microseconds.max(1) as f64
    }
}

/// Measures a variant once.
pub(crate) fn measure(stage: &Stage, variant: &Variant, options: &Compare) -> Result<Measurement> {
    let manager = (variant.manager)(stage)?;
    let envoy = Envoy::start(stage, variant.name, &manager)?;
    let measured = with_envoy(stage, variant, options, &envoy);
    measured.map_err(|cause| BenchError::Failed(format!("{}: {cause}", variant.name)))
}

fn with_envoy(
    stage: &Stage,
    variant: &Variant,
    options: &Compare,
    envoy: &Envoy<'_>,
) -> Result<Measurement> {
    if variant.group == Group::Ours {
        envoy.wait_for_feed()?;
    }
    check::sample(stage, variant, envoy)?;
    let skip = if variant.load == Load::Fresh { WARM_UP_TOKENS } else { 0 };
    let warm_up = Shape { seconds: options.warm_up, connections: options.connections, skip: 0 };
    load::run(stage, variant, warm_up)?;

    let before = Before::take(stage, variant, envoy)?;
    let (start, cores) = (now(), [core_time(ENVOY_CORE)?, core_time(OTHER_CORE)?]);
    let processor = process_time(envoy.id())?;
    let shape = Shape { seconds: options.seconds, connections: options.connections, skip };
    let report = load::run(stage, variant, shape)?;
    let processor = process_time(envoy.id())?.saturating_sub(processor);
    let elapsed = start.elapsed().as_secs_f64();
    let [envoys, others] = [
        core_time(ENVOY_CORE)?.saturating_sub(cores[0]),
        core_time(OTHER_CORE)?.saturating_sub(cores[1]),
    ];
    check::all(stage, variant, envoy, &before, &report, options.connections)?;
    let processor = processor.as_secs_f64();
    Ok(Measurement {
        processor: processor * 1e6 / report.requests.max(1) as f64,
        envoy_busy: processor / elapsed,
        disturbance: ((envoys.as_secs_f64() - processor) / elapsed).max(0.0),
        other_core_busy: others.as_secs_f64() / elapsed,
        report,
    })
}
