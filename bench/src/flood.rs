//! What an honest client notices of others who flood the gateway at ten times a limit.
//!
//! In each round every condition runs once on a fresh Envoy with the whole chain of envoy.yaml. The honest
//! client sends at a steady pace from an address of its own, and its times count from when a request was due:
//! one that is held up holds up the next ones too, and all of that is counted.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::{
    arguments::Flood,
    clock::now,
    envoy::Envoy,
    error::{BenchError, Result, failed},
    http::Connection,
    machine,
    process::{OTHER_CORE, stay_on},
    production::Limit,
    report,
    stage::Stage,
    tokens::DISTINCT,
    traffic::{Body, request},
};

mod written;

const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 5));
const FLOODING: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));
/// Connections of the flood.
const CONNECTIONS: u32 = 4;
/// The flood sends so many times the limit.
const TIMES: u32 = 10;
/// Before a measurement, so that caches are filled and connections made.
const WARM_UP: Duration = Duration::from_secs(1);

/// What happens beside the honest client.
#[derive(Debug, Clone, Copy)]
struct Condition {
    title: &'static str,
    /// What the flood meets; none where nothing stops it.
    limit: Option<Limit>,
    is_flooded: bool,
}

const CONDITIONS: [Condition; 4] = [
    Condition { title: "quiet", limit: None, is_flooded: false },
    Condition {
        title: "a flood, limited by address",
        limit: Some(Limit::Address),
        is_flooded: true,
    },
    Condition { title: "a flood, limited by user", limit: Some(Limit::User), is_flooded: true },
    Condition { title: "the same flood without a limit", limit: None, is_flooded: true },
];

/// What one run gave. Times are in microseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    p50: u64,
    p99: u64,
    longest: u64,
    honest: u64,
    refused: u64,
    flood_per_second: u64,
    flood_passed_per_second: u64,
}

/// Floods, and prints and writes what came of it.
pub(crate) fn run(options: &Flood) -> Result<()> {
    let stage = Stage::set(&options.inputs, Some(DISTINCT))?;
    // Before this program has one core alone.
    let machine = machine::describe(&stage)?;
    stay_on(OTHER_CORE)?;
    let mut runs = CONDITIONS.map(|condition| (condition, Vec::new()));
    for round in 1..=options.rounds {
        for (condition, measured) in &mut runs {
            let run = measure(&stage, *condition, options)?;
            let line = format!(
                "==> round {round}/{} {:<32} p50 {:>5} us, p99 {:>6} us; flood {} a second, {} passed\n",
                options.rounds,
                condition.title,
                run.p50,
                run.p99,
                run.flood_per_second,
                run.flood_passed_per_second
            );
            // Nothing is lost where nobody listens.
            let _unheard = std::io::stderr().write_all(line.as_bytes());
            measured.push(run);
        }
    }
    let rows = runs.map(|(condition, runs)| (condition.title, Run::median(&runs)));
    let table = written::table(&rows);
    let text = written::text(&table, options, &machine);
    let folder = &options.inputs.results;
    std::fs::create_dir_all(folder).map_err(BenchError::file(folder))?;
    let file = folder.join(format!("flood-{}.md", report::today()));
    std::fs::write(&file, text).map_err(BenchError::file(&file))?;
    let end = format!("{table}\n{}\n", file.display());
    std::io::stdout().write_all(end.as_bytes()).map_err(BenchError::io("standard output"))
}

fn measure(stage: &Stage, condition: Condition, options: &Flood) -> Result<Run> {
    let mut manager = stage.production.whole(&stage.plugin)?;
    if let Some(limit) = condition.limit {
        limit.set(&mut manager, options.limit)?;
    }
    let envoy = Envoy::start(stage, "flood", &manager)?;
    envoy.wait_for_feed()?;
    let (honest, flooding) = match stage.grants.as_slice() {
        [honest, flooding, ..] => (honest, flooding),
        _ => return failed("there are too few tokens"),
    };
    let flood = FloodState::default();
    let is_over = &flood.is_over;
    let run = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..if condition.is_flooded { CONNECTIONS } else { 0 })
            .map(|_| {
                let bytes = request(Body::Small, Some(&flooding.token));
                scope.spawn(|| send_flood(stage, bytes, options.limit * TIMES, &flood))
            })
            .collect();
        let run = calm(stage, &honest.token, options.honest, WARM_UP).and_then(|_| {
            let (sent, passed) = flood.counts();
            let begun = now();
            let seconds = Duration::from_secs(options.seconds.into());
            let run = calm(stage, &honest.token, options.honest, seconds)?;
            let elapsed = begun.elapsed().as_secs_f64();
            let (sent_now, passed_now) = flood.counts();
            let rate = |count: u64| (count as f64 / elapsed).round() as u64;
            Ok(Run {
                flood_per_second: rate(sent_now - sent),
                flood_passed_per_second: rate(passed_now - passed),
                ..run
            })
        });
        is_over.store(true, Ordering::Relaxed);
        for sender in senders {
            match sender.join() {
                Ok(sent) => sent?,
                Err(_) => return failed("a connection's thread has panicked"),
            }
        }
        run
    })
    .map_err(|cause| BenchError::Failed(format!("{cause}; {}", envoy.log())))?;
    check(&run, condition, options)?;
    Ok(run)
}

/// What the senders of the flood share.
#[derive(Debug, Default)]
struct FloodState {
    is_over: AtomicBool,
    sent: AtomicU64,
    passed: AtomicU64,
}

impl FloodState {
    fn counts(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.passed.load(Ordering::Relaxed))
    }
}

/// Sends this connection's part of the flood until it is over. Where it cannot keep its pace, it sends as fast
/// as answers come.
fn send_flood(stage: &Stage, bytes: String, per_second: u32, flood: &FloodState) -> Result<()> {
    let mut connection = Connection::open_from(FLOODING, stage.addresses.gateway)?;
    let interval = Duration::from_secs(1) * CONNECTIONS / per_second;
    let mut due = now();
    while !flood.is_over.load(Ordering::Relaxed) {
        due = wait_until(due) + interval;
        match connection.exchange(bytes.as_bytes())?.status {
            200 => {
                flood.passed.fetch_add(1, Ordering::Relaxed);
            }
            429 => {}
            status => return failed(format!("a request of the flood got {status}")),
        }
        flood.sent.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Waits, and gives when the time was there: later than `due` where it had passed.
fn wait_until(due: Instant) -> Instant {
    let time = now();
    match due.checked_duration_since(time) {
        Some(wait) => {
            std::thread::sleep(wait);
            due
        }
        None => time,
    }
}

/// Sends the honest client's requests, one after the other, and measures each from when it was due.
fn calm(stage: &Stage, token: &str, per_second: u32, length: Duration) -> Result<Run> {
    let mut connection = Connection::open_from(HONEST, stage.addresses.gateway)?;
    let bytes = request(Body::Small, Some(token));
    let interval = Duration::from_secs(1) / per_second;
    let begun = now();
    let (mut times, mut refused, mut due) = (Vec::new(), 0, begun);
    while due.saturating_duration_since(begun) < length {
        let _late = wait_until(due);
        match connection.exchange(bytes.as_bytes())?.status {
            200 => times.push(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX)),
            _ => refused += 1,
        }
        due += interval;
    }
    times.sort_unstable();
    let at = |part: f64| {
        let index = (times.len() as f64 * part) as usize;
        times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    Ok(Run {
        p50: at(0.5),
        p99: at(0.99),
        longest: at(1.0),
        honest: times.len() as u64,
        refused,
        ..Run::default()
    })
}

/// The limits did what is measured: nobody honest was refused, and the flood got its limit and no more.
fn check(run: &Run, condition: Condition, options: &Flood) -> Result<()> {
    let title = condition.title;
    if run.refused > 0 || run.honest == 0 {
        return failed(format!("{title}: the honest client was refused {} times", run.refused));
    }
    let (limit, passed) = (u64::from(options.limit), run.flood_passed_per_second);
    if condition.limit.is_some() && !(limit / 2..=limit + limit / 10).contains(&passed) {
        return failed(format!("{title}: {passed} requests a second passed a limit of {limit}"));
    }
    if condition.is_flooded && run.flood_per_second < 2 * limit {
        return failed(format!(
            "{title}: the flood had {} requests a second",
            run.flood_per_second
        ));
    }
    Ok(())
}

impl Run {
    /// The medians, and all refusals.
    fn median(runs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> u64| {
            let mut values: Vec<_> = runs.iter().map(figure).collect();
            values.sort_unstable();
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        Self {
            p50: of(|run| run.p50),
            p99: of(|run| run.p99),
            longest: of(|run| run.longest),
            honest: runs.iter().map(|run| run.honest).sum(),
            refused: runs.iter().map(|run| run.refused).sum(),
            flood_per_second: of(|run| run.flood_per_second),
            flood_passed_per_second: of(|run| run.flood_passed_per_second),
        }
    }
}
