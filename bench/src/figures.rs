//! From samples to the figures of the table: medians, and how far the ratios lie apart.

use crate::measure::Measurement;

/// One run of a variant beside plain runs.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// The run.
    pub(crate) measured: Measurement,
    /// Requests a second, as a part of plain Envoy's.
    pub(crate) ratio: f64,
    /// What a request takes longer than at plain Envoy, in microseconds, by requests a second.
    pub(crate) added: f64,
    /// The same by Envoy's processor time, which does not need the core to be busy throughout.
    pub(crate) added_processor: f64,
}

impl Sample {
    /// A plain run.
    pub(crate) fn plain(measured: &Measurement) -> Self {
        Self { measured: measured.clone(), ratio: 1.0, added: 0.0, added_processor: 0.0 }
    }

    /// A run between two plain runs.
    pub(crate) fn beside(
        measured: &Measurement,
        before: &Measurement,
        after: &Measurement,
    ) -> Self {
        let plain = f64::midpoint(before.rate(), after.rate());
        let processor = f64::midpoint(before.processor, after.processor);
        Self {
            measured: measured.clone(),
            ratio: measured.rate() / plain,
            added: 1e6 / measured.rate() - 1e6 / plain,
            added_processor: measured.processor - processor,
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Latencies in microseconds: the median, 99 % and 99.9 %.
    pub(crate) latencies: [f64; 3],
    /// The ratio to plain Envoy.
    pub(crate) ratio: f64,
    /// The lowest and the highest ratio.
    pub(crate) spread: (f64, f64),
    /// Microseconds added, by requests a second.
    pub(crate) added: f64,
    /// Microseconds added, by processor time.
    pub(crate) added_processor: f64,
    /// How busy Envoy kept its core.
    pub(crate) envoy_busy: f64,
    /// How busy the other core was.
    pub(crate) other_core_busy: f64,
    /// The median disturbance by others on Envoy's core.
    pub(crate) disturbance: f64,
}

impl Figures {
    /// The medians of all samples; none without samples.
    pub(crate) fn of(samples: &[Sample]) -> Option<Self> {
        let of = |figure: &dyn Fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
        let ratios = || samples.iter().map(|sample| sample.ratio);
        Some(Self {
            rate: of(&|sample| sample.measured.rate())?,
            latencies: [
                of(&|sample| sample.measured.report.p50 as f64)?,
                of(&|sample| sample.measured.report.p99 as f64)?,
                of(&|sample| sample.measured.report.p999 as f64)?,
            ],
            ratio: of(&|sample| sample.ratio)?,
            spread: (ratios().reduce(f64::min)?, ratios().reduce(f64::max)?),
            added: of(&|sample| sample.added)?,
            added_processor: of(&|sample| sample.added_processor)?,
            envoy_busy: of(&|sample| sample.measured.envoy_busy)?,
            other_core_busy: of(&|sample| sample.measured.other_core_busy)?,
            disturbance: of(&|sample| sample.measured.disturbance)?,
        })
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get(values.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_and_not_moved_by_one_disturbed_round() {
        assert_eq!(median(vec![0.8, 0.1, 0.9, 0.85, 0.84]), Some(0.84));
        assert_eq!(median(vec![1.0, 2.0]), Some(1.5));
        assert_eq!(median(Vec::new()), None);
    }
}
