//! The long run: many requests, each with a token of its own, half of them bad, while Envoy's memory is
//! watched.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    arguments::Soak,
    bootstrap::{Route, manager},
    clock::now,
    cpu::resident_kilobytes,
    envoy::Envoy,
    error::{BenchError, Result, because, failed},
    http::Connection,
    machine, report, rounds,
    stage::Stage,
    tokens::write_lines,
    traffic::{Body, request},
};

/// How often the memory is read.
const INTERVAL: Duration = Duration::from_millis(500);
/// The first fifth of the requests is warm-up.
const WARM_UP: f64 = 0.2;
/// The most that the memory may grow after it.
const MOST_GROWTH: f64 = 0.02;
/// Every which request goes out with a bad token is written in the kind's remainder.
const KINDS: u64 = 4;

/// A reading of Envoy's memory.
#[derive(Debug, Clone, Copy)]
struct Reading {
    requests: u64,
    kilobytes: u64,
}

/// Soaks, and prints and writes what came of it.
pub(crate) fn run(options: &Soak) -> Result<()> {
    let requests = u64::from(options.requests);
    let good = usize::try_from(requests.div_ceil(2)).map_err(because("--requests"))?;
    let stage = Stage::set(&options.inputs, Some(good))?;
    let tokens = Tokens::prepare(&stage, requests)?;
    let filters = vec![stage.production.plugin(&stage.plugin, &serde_json::json!({}))?];
    let manager = manager(filters, &Route::Locked(stage.production.lock()?));
    let envoy = Envoy::start(&stage, "soak", &manager)?;
    envoy.wait_for_feed()?;
    let readings = soak(&stage, &envoy, &tokens, options)?;
    let growth = growth(&readings)?;
    let text = written(&readings, growth, options, &machine::describe(&stage)?);
    let folder = &options.inputs.results;
    std::fs::create_dir_all(folder).map_err(BenchError::file(folder))?;
    let file = folder.join(format!("soak-{}.md", report::today()));
    std::fs::write(&file, text).map_err(BenchError::file(&file))?;
    let percent = growth * 100.0;
    let end =
        format!("{requests} requests; memory after warm-up: {percent:+.2} %\n{}\n", file.display());
    std::io::stdout().write_all(end.as_bytes()).map_err(BenchError::io("standard output"))?;
    if growth > MOST_GROWTH {
        return failed(format!("the memory grew by {percent:.2} %, more than 2 %"));
    }
    Ok(())
}

/// The tokens in the order in which they go out: good, forged, good, unknown to the service.
struct Tokens {
    good: Mutex<BufReader<File>>,
    bad: [Mutex<BufReader<File>>; 2],
    next: AtomicU64,
    all: u64,
}

impl Tokens {
    fn prepare(stage: &Stage, all: u64) -> Result<Self> {
        let quarter = all.div_ceil(KINDS);
        let maker = stage.maker();
        let forged = (0..quarter).map(|_| maker.forged()).collect::<Result<Vec<_>>>()?;
        let unknown = (0..quarter).map(|_| maker.unknown()).collect::<Result<Vec<_>>>()?;
        let files = [stage.folder.join("soak-forged.txt"), stage.folder.join("soak-unknown.txt")];
        let [forged_file, unknown_file] = &files;
        write_lines(forged_file, forged)?;
        write_lines(unknown_file, unknown)?;
        let open = |file: &std::path::Path| {
            File::open(file)
                .map(|open| Mutex::new(BufReader::new(open)))
                .map_err(BenchError::file(file))
        };
        let Some(good) = stage.tokens(crate::variants::Load::Fresh) else {
            return failed("there are no seeded tokens");
        };
        Ok(Self {
            good: open(&good)?,
            bad: [open(forged_file)?, open(unknown_file)?],
            next: AtomicU64::new(0),
            all,
        })
    }

    /// The next token and the status that it must get; none after the last.
    fn next(&self) -> Result<Option<(String, u16)>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.all {
            return Ok(None);
        }
        let [forged, unknown] = &self.bad;
        let (lines, status) = match number % KINDS {
            1 => (forged, 401),
            3 => (unknown, 401),
            _ => (&self.good, 200),
        };
        let mut line = String::new();
        lines
            .lock()
            .map_err(because("another connection"))?
            .read_line(&mut line)
            .map_err(BenchError::io("tokens"))?;
        if line.is_empty() {
            return failed("there are too few tokens");
        }
        line.truncate(line.trim_end().len());
        Ok(Some((line, status)))
    }
}

fn soak(stage: &Stage, envoy: &Envoy<'_>, tokens: &Tokens, options: &Soak) -> Result<Vec<Reading>> {
    let done = AtomicU64::new(0);
    let start = now();
    std::thread::scope(|scope| {
        let senders: Vec<_> =
            (0..options.connections).map(|_| scope.spawn(|| send(stage, tokens, &done))).collect();
        let mut readings = Vec::new();
        let mut told = 0;
        while senders.iter().any(|sender| !sender.is_finished()) {
            std::thread::sleep(INTERVAL);
            let requests = done.load(Ordering::Relaxed);
            let kilobytes = resident_kilobytes(envoy.id())?;
            readings.push(Reading { requests, kilobytes });
            let percent = requests * 100 / tokens.all.max(1);
            if percent > told {
                told = percent;
                let left = start.elapsed().mul_f64((100 - percent) as f64 / percent as f64);
                let left = rounds::minutes(left);
                // Nothing is lost where nobody listens.
                let _unheard = writeln!(
                    std::io::stderr(),
                    "==> {percent} %: {requests} requests, Envoy has {kilobytes} kB; {left} left"
                );
            }
        }
        for sender in senders {
            match sender.join() {
                Ok(sent) => {
                    sent.map_err(|cause| BenchError::Failed(format!("{cause}; {}", envoy.log())))?
                }
                Err(_) => return failed("a connection's thread has panicked"),
            }
        }
        Ok(readings)
    })
}

fn send(stage: &Stage, tokens: &Tokens, done: &AtomicU64) -> Result<()> {
    let mut connection = Connection::open(stage.addresses.gateway)?;
    while let Some((token, status)) = tokens.next()? {
        let answer = connection.exchange(request(Body::Small, Some(&token)).as_bytes())?;
        if answer.status != status {
            // The others stop as well.
            tokens.next.store(tokens.all, Ordering::Relaxed);
            return failed(format!("a request got {} in place of {status}", answer.status));
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// From the tenth right after the warm-up to the last tenth: what the medians grew by, as a part.
fn growth(readings: &[Reading]) -> Result<f64> {
    let all = readings.iter().map(|reading| reading.requests).max().unwrap_or_default() as f64;
    let between = |from: f64, to: f64| {
        let of = readings
            .iter()
            .filter(|reading| (from * all..=to * all).contains(&(reading.requests as f64)));
        let mut kilobytes: Vec<u64> = of.map(|reading| reading.kilobytes).collect();
        kilobytes.sort_unstable();
        kilobytes.get(kilobytes.len() / 2).copied()
    };
    match (between(WARM_UP, WARM_UP + 0.1), between(0.9, 1.0)) {
        (Some(first), Some(last)) => Ok(last as f64 / first as f64 - 1.0),
        _ => failed("the run was too short to judge the memory"),
    }
}

fn written(
    readings: &[Reading],
    growth: f64,
    options: &Soak,
    machine: &[(&'static str, String)],
) -> String {
    let mut text = format!(
        "# Memory over {} requests, {}\n\nEach request has a token of its own: half of them good, a quarter \
         with a wrong tag, a quarter with a\nright tag that the service does not know. Good ones got 200, bad \
         ones 401, all of them.\n\nGrowth of Envoy's resident memory from the tenth after the warm-up \
         (the first {:.0} %) to the last tenth,\nby medians: **{:+.2} %**.\n\n| requests | Envoy's memory, kB |\n|--:|--:|\n",
        options.requests,
        report::today(),
        WARM_UP * 100.0,
        growth * 100.0,
    );
    let step = readings.len().div_ceil(25).max(1);
    for reading in readings.iter().step_by(step).chain(readings.last()) {
        // Writing to a text does not fail.
        let _written = writeln!(text, "| {} | {} |", reading.requests, reading.kilobytes);
    }
    text.push('\n');
    text.push_str(&report::machine_table(machine));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(kilobytes: impl Fn(u64) -> u64) -> Vec<Reading> {
        (0..=100).map(|step| Reading { requests: step * 10, kilobytes: kilobytes(step) }).collect()
    }

    #[test]
    fn a_leak_after_the_warm_up_is_seen_and_the_warm_up_itself_is_not() {
        assert!(growth(&readings(|step| 100_000 + 100 * step)).unwrap() > MOST_GROWTH);
        assert!(
            growth(&readings(|step| if step < 20 { 50_000 } else { 100_000 })).unwrap() < 0.001
        );
        assert!(growth(&[]).is_err());
    }
}
