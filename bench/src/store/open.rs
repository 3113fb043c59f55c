//! Introspections at a fixed rate, whatever the answers take, beside writers that never rest.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use super::requests::Seeded;
use crate::{
    arguments::Store,
    clock::now,
    cpu::resident_kilobytes,
    error::{Result, failed},
    http::Connection,
    service::Service,
};

/// Connections that the introspections are spread over.
const CONNECTIONS: u32 = 32;

/// How long answers took, in microseconds from the moment at which each request was due.
#[derive(Debug)]
pub(super) struct Latencies {
    pub(super) p50: u64,
    pub(super) p99: u64,
    pub(super) p999: u64,
    pub(super) longest: u64,
    /// Answers a second that were had.
    pub(super) rate: f64,
    /// Code exchanges and refreshes a second that the writers made meanwhile.
    pub(super) writes: f64,
    /// The most resident memory of the service that was seen, in kilobytes.
    pub(super) resident: u64,
}

/// Runs for the time that the options say.
pub(super) fn run(
    options: &Store,
    service: &Service,
    seeded: &Seeded,
    (public, internal): (SocketAddr, SocketAddr),
) -> Result<Latencies> {
    let time = Duration::from_secs(u64::from(options.seconds));
    let pause = Duration::from_secs_f64(f64::from(CONNECTIONS) / f64::from(options.rate));
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = now();
    let (latencies, resident) = thread::scope(|scope| {
        let writers = [true, false].map(|codes| {
            let (stop, written) = (&stop, &written);
            scope.spawn(move || write(seeded, public, codes, stop, written))
        });
        let readers: Vec<_> = (0..CONNECTIONS)
            .map(|reader| {
                let first = pause.mul_f64(f64::from(reader) / f64::from(CONNECTIONS));
                scope.spawn(move || read(reader, first, pause, time, service, seeded, internal))
            })
            .collect();
        let mut resident = 0;
        while begun.elapsed() < time {
            resident = resident.max(resident_kilobytes(service.process.id())?);
            thread::sleep(Duration::from_millis(250));
        }
        let mut all = Vec::new();
        for reader in readers {
            all.append(&mut joined(reader)?);
        }
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            joined(writer)?;
        }
        Ok((all, resident))
    })?;
    summary(latencies, resident, begun.elapsed(), written.into_inner())
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| failed("a thread of the load has died"))
}

fn read(
    reader: u32,
    first: Duration,
    pause: Duration,
    time: Duration,
    service: &Service,
    seeded: &Seeded,
    internal: SocketAddr,
) -> Result<Vec<u64>> {
    let mut connection = Connection::open(internal)?;
    let (begun, mut latencies) = (now(), Vec::new());
    let mut due = first;
    for number in 0.. {
        if due >= time {
            break;
        }
        let token = seeded.access(number * CONNECTIONS as usize + reader as usize)?;
        let request = service.introspection(token);
        thread::sleep(due.saturating_sub(begun.elapsed()));
        active(&connection.exchange(request.as_bytes())?)?;
        latencies.push(u64::try_from((begun.elapsed() - due).as_micros()).unwrap_or(u64::MAX));
        due += pause;
    }
    Ok(latencies)
}

/// Refuses an answer that does not say that a token is good.
pub(super) fn active(answer: &crate::http::Answer) -> Result<()> {
    if answer.status == 200 && answer.body.starts_with(b"{\"active\":true") {
        return Ok(());
    }
    failed(format!("an introspection of a good token was answered with {}", answer.status))
}

fn write(
    seeded: &Seeded,
    public: SocketAddr,
    codes: bool,
    stop: &AtomicBool,
    written: &AtomicU64,
) -> Result<()> {
    let mut connection = Connection::open(public)?;
    while !stop.load(Ordering::Relaxed) {
        let request = if codes { seeded.exchange()? } else { seeded.refresh()? };
        let answer = connection.exchange(request.as_bytes())?;
        if answer.status != 200 {
            return failed(format!(
                "a good request for tokens was answered with {}",
                answer.status
            ));
        }
        written.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn summary(
    mut latencies: Vec<u64>,
    resident: u64,
    took: Duration,
    writes: u64,
) -> Result<Latencies> {
    latencies.sort_unstable();
    let count = latencies.len();
    let at = |part: f64| {
        // The position is within the list: a part of its length.
        let position = (part * count as f64) as usize;
        latencies.get(position.min(count.saturating_sub(1))).copied()
    };
    match (at(0.5), at(0.99), at(0.999), latencies.last()) {
        (Some(p50), Some(p99), Some(p999), Some(longest)) => Ok(Latencies {
            p50,
            p99,
            p999,
            longest: *longest,
            rate: count as f64 / took.as_secs_f64(),
            writes: writes as f64 / took.as_secs_f64(),
            resident,
        }),
        _ => failed("there was not one introspection"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::summary;

    #[test]
    fn of_a_hundred_answers_the_slowest_is_beyond_p99_and_not_hidden() {
        let latencies = (1..=100).rev().collect();
        let found = summary(latencies, 0, Duration::from_secs(1), 5).unwrap();
        assert_eq!((found.p50, found.p99, found.longest), (51, 100, 100));
        assert!(summary(Vec::new(), 0, Duration::from_secs(1), 0).is_err());
    }
}
