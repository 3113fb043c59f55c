//! What has been counted since the host was last told. On the way of a request, counting is an addition
//! in memory; the host is told once a tick.

use std::cell::Cell;

use crate::{Counter, Gauge, Host};

/// Counts and measures of one worker.
pub(crate) struct Tally {
    counts: [Cell<u64>; Counter::ALL.len()],
    /// What the host has been told, and what is true now.
    gauges: [Cell<(i64, i64)>; Gauge::ALL.len()],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| Cell::new(0)),
            gauges: std::array::from_fn(|_| Cell::new((0, 0))),
        }
    }
}

impl Tally {
    pub(crate) fn count(&self, counter: Counter, by: u64) {
        if let Some(count) = self.counts.get(counter.index()) {
            count.set(count.get().saturating_add(by));
        }
    }

    pub(crate) fn measure(&self, gauge: Gauge, value: usize) {
        if let Some(cell) = self.gauges.get(gauge.index()) {
            let (told, _) = cell.get();
            cell.set((told, i64::try_from(value).unwrap_or(i64::MAX)));
        }
    }

    /// Tells the host what is new.
    pub(crate) fn report<H: Host>(&self, host: &H) {
        for (counter, count) in Counter::ALL.into_iter().zip(&self.counts) {
            match count.take() {
                0 => {}
                by => host.count(counter, by),
            }
        }
        for (gauge, cell) in Gauge::ALL.into_iter().zip(&self.gauges) {
            let (told, value) = cell.get();
            if told != value {
                host.move_gauge(gauge, value.saturating_sub(told));
                cell.set((value, value));
            }
        }
    }
}
