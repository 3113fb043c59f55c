//! The rounds: each variant once a round, in an order that is shuffled anew each time, between runs of
//! plain Envoy with the same answers.

use std::{
    collections::BTreeMap,
    io::Write as _,
    time::{Duration, Instant},
};

use crate::{
    arguments::Compare,
    clock::now,
    error::{Result, failed},
    figures::Sample,
    measure::{Measurement, measure},
    stage::Stage,
    traffic::Body,
    variants::{Group, Variant},
};

/// Variants between two plain runs.
const BETWEEN_PLAIN_RUNS: usize = 2;

/// All samples of each variant, plain ones included, by name.
pub(crate) type Samples = BTreeMap<&'static str, Vec<Sample>>;

/// Runs all rounds.
pub(crate) fn run(stage: &Stage, variants: &[Variant], options: &Compare) -> Result<Samples> {
    let mut random = Random(options.seed);
    let mut samples = Samples::new();
    let orders: Vec<Vec<&Variant>> =
        (0..options.rounds).map(|_| order(variants, &mut random)).collect();
    let mut progress = Progress::new(orders.iter().map(Vec::len).sum());
    for (round, order) in orders.iter().enumerate() {
        let mut runs: Vec<(&Variant, Measurement)> = Vec::new();
        for variant in order {
            let measured = measure(stage, variant, options)?;
            progress.tell(&format!(
                "round {}/{} {:<16} {:>7.0} requests/s, p99 {:>6} us, Envoy {:>3.0} % of its core{}",
                round + 1,
                orders.len(),
                variant.name,
                measured.rate(),
                measured.report.p99,
                measured.envoy_busy * 100.0,
                disturbance(&measured),
            ));
            runs.push((variant, measured));
        }
        for (variant, sample) in compare(&runs)? {
            samples.entry(variant).or_default().push(sample);
        }
    }
    Ok(samples)
}

fn disturbance(measured: &Measurement) -> String {
    let percent = measured.disturbance * 100.0;
    if percent < 3.0 { String::new() } else { format!(" (others: {percent:.0} %)") }
}

/// For each size of answers: plain Envoy first, last, and after every few variants.
fn order<'a>(variants: &'a [Variant], random: &mut Random) -> Vec<&'a Variant> {
    let mut order = Vec::new();
    for body in Body::ALL {
        let of = |is_plain: bool| {
            variants.iter().filter(move |variant| {
                variant.body == body && (variant.group == Group::Plain) == is_plain
            })
        };
        let Some(plain) = of(true).next() else { continue };
        let mut rest: Vec<&Variant> = of(false).collect();
        random.shuffle(&mut rest);
        order.push(plain);
        for chunk in rest.chunks(BETWEEN_PLAIN_RUNS) {
            order.extend(chunk);
            order.push(plain);
        }
    }
    order
}

/// Compares each run with the plain runs before and after it.
fn compare(runs: &[(&Variant, Measurement)]) -> Result<Vec<(&'static str, Sample)>> {
    let plain_of = |body| {
        move |(variant, measured): &&(&Variant, Measurement)| {
            let _unused = measured;
            variant.group == Group::Plain && variant.body == body
        }
    };
    let compared = runs.iter().enumerate().map(|(index, (variant, measured))| {
        if variant.group == Group::Plain {
            return Ok((variant.name, Sample::plain(measured)));
        }
        let (before, after) = runs.split_at(index);
        let before = before.iter().rev().find(plain_of(variant.body));
        let after = after.iter().find(plain_of(variant.body));
        match (before, after) {
            (Some((_, before)), Some((_, after))) => {
                Ok((variant.name, Sample::beside(measured, before, after)))
            }
            _ => failed(format!("{} has no plain runs beside it", variant.name)),
        }
    });
    compared.collect()
}

/// Prints how far the runs are, and how long the rest will take.
struct Progress {
    start: Instant,
    done: usize,
    all: usize,
}

impl Progress {
    fn new(all: usize) -> Self {
        Self { start: now(), done: 0, all }
    }

    fn tell(&mut self, text: &str) {
        self.done += 1;
        let (done, all) = (self.done, self.all);
        let left = self.start.elapsed().mul_f64((all - done.min(all)) as f64 / done as f64);
        // Nothing is lost where nobody listens.
        let _unheard =
            writeln!(std::io::stderr(), "==> [{done}/{all}] {text}; {} left", minutes(left));
    }
}

/// "3 min 20 s".
pub(crate) fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// A generator (xorshift64*) for orders that can be had again; it serves no secret.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.max(1);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Brings a list into a random order (Fisher-Yates).
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = usize::try_from(self.next() % (last as u64 + 1)).unwrap_or_default();
            list.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variant_runs_once_a_round_between_plain_runs_with_the_same_answers() {
        let variants = crate::variants::all();
        let order = order(&variants, &mut Random(7));
        for variant in &variants {
            let count = order.iter().filter(|other| other.name == variant.name).count();
            assert!(if variant.group == Group::Plain { count >= 2 } else { count == 1 });
        }
        for (index, variant) in order.iter().enumerate() {
            let same =
                |other: &&&Variant| other.group == Group::Plain && other.body == variant.body;
            assert!(order[..=index].iter().rev().any(|other| same(&other)));
            assert!(order[index..].iter().take(3).any(|other| same(&other)));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_order() {
        let variants = crate::variants::all();
        let names = |seed| -> Vec<_> {
            order(&variants, &mut Random(seed)).iter().map(|variant| variant.name).collect()
        };
        assert_eq!(names(5), names(5));
        assert_ne!(names(5), names(6));
    }
}
