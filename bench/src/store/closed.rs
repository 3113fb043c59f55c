//! As many requests as there can be: each connection sends the next when it has its answer.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use super::{open::active, requests::Seeded};
use crate::{
    arguments::Store,
    clock::now,
    error::{Result, failed},
    http::{Answer, Connection},
    service::Service,
};

/// Connections that send.
const CONNECTIONS: usize = 32;

/// Introspections a second.
pub(super) fn introspections(
    options: &Store,
    service: &Service,
    seeded: &Seeded,
    internal: SocketAddr,
) -> Result<f64> {
    let next = AtomicUsize::new(0);
    let request = || {
        let token = seeded.access(next.fetch_add(1, Ordering::Relaxed))?;
        Ok(service.introspection(token))
    };
    rate(options, internal, &request, &active)
}

/// Code exchanges a second.
pub(super) fn exchanges(options: &Store, seeded: &Seeded, public: SocketAddr) -> Result<f64> {
    rate(options, public, &|| seeded.exchange(), &issued)
}

/// Refreshes a second.
pub(super) fn refreshes(options: &Store, seeded: &Seeded, public: SocketAddr) -> Result<f64> {
    rate(options, public, &|| seeded.refresh(), &issued)
}

fn issued(answer: &Answer) -> Result<()> {
    if answer.status == 200 {
        return Ok(());
    }
    failed(format!("a good request for tokens was answered with {}", answer.status))
}

fn rate(
    options: &Store,
    address: SocketAddr,
    request: &(dyn Fn() -> Result<String> + Sync),
    check: &(dyn Fn(&Answer) -> Result<()> + Sync),
) -> Result<f64> {
    let time = Duration::from_secs(u64::from(options.seconds));
    let begun = now();
    let done = thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(move || {
                    let mut connection = Connection::open(address)?;
                    let mut done = 0_u64;
                    while begun.elapsed() < time {
                        check(&connection.exchange(request()?.as_bytes())?)?;
                        done += 1;
                    }
                    Ok(done)
                })
            })
            .collect();
        senders.into_iter().try_fold(0, |sum, sender| {
            let done = sender.join().unwrap_or_else(|_| failed("a thread of the load has died"));
            Ok(sum + done?)
        })
    })?;
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}
