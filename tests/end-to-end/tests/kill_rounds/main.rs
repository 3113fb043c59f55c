//! The service is killed at random moments under load, again and again: no token that a client received
//! is ever unknown, no code works twice, what was revoked stays so, and the store opens.
//!
//! `make kill-rounds ROUNDS=1000` does what the suite does in fewer rounds. `IB_GATEWAY_KILL_SEED` repeats
//! the choices of a run; which of them meet the kill is up to the machine.
#![cfg(test)]

mod after;
mod client;
mod feed;
mod ledger;
mod lines;
mod random;

use std::collections::BTreeMap;
use std::env;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ib_end_to_end::{Deadline, Deployment, Part, StackOptions, built, unique_hex};
use serde_json::json;

use client::Client;
use feed::Feed;
use lines::Lines;
use random::Random;

const CLIENTS: u64 = 4;
/// A round's load lasts at most this long before the kill, in milliseconds.
const LONGEST_LOAD: u64 = 400;
/// A start that is killed as well has at most this long, in milliseconds: about what a start takes.
const LONGEST_START: u64 = 60;
/// Rounds where nobody says how many.
const FEW: u64 = 15;

#[test]
fn no_kill_under_load_loses_a_token_or_lets_a_code_work_twice() {
    let options = StackOptions {
        service_settings: json!({
            // The longest grace, so that a slow machine does not take a lost answer for a theft.
            "tokens": { "refresh_grace_seconds": 60, "code_seconds": 600, "access_token_seconds": 86_400 },
            "intelligencebank": { "poll_interval_milliseconds": 0, "login_deadline_seconds": 600 },
        }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    let rounds = number("IB_GATEWAY_KILL_ROUNDS").unwrap_or(FEW);
    let fresh = || u64::from_str_radix(&unique_hex(8), 16).expect("a number");
    let seed = number("IB_GATEWAY_KILL_SEED").unwrap_or_else(fresh);
    eprintln!("{rounds} rounds with IB_GATEWAY_KILL_SEED={seed}");

    let mut random = Random::new(seed);
    let mut clients: Vec<_> =
        (0..CLIENTS).map(|_| Client::new(Random::new(random.below(u64::MAX)))).collect();
    let mut feed = Feed::default();
    feed.follow(&mut Lines::new(gateway.reach(), &AtomicBool::new(false)));
    let mut killed_starts = 0;
    let clock = Deadline::after(Duration::from_secs(rounds * 60));
    for round in 1..=rounds {
        let killed = AtomicBool::new(false);
        thread::scope(|scope| {
            for client in &mut clients {
                let mut lines = Lines::new(gateway.reach(), &killed);
                scope.spawn(move || while client.step(&mut lines).is_some() {});
            }
            // The random moment itself: nothing is waited for.
            thread::sleep(Duration::from_millis(random.below(LONGEST_LOAD)));
            killed.store(true, Ordering::SeqCst);
            gateway.kill(Part::Service);
        });
        if random.below(3) == 0 {
            start_and_kill(&gateway, Duration::from_millis(random.below(LONGEST_START)));
            killed_starts += 1;
        }
        gateway.start_part(Part::Service);
        check(&gateway, &mut clients, &mut feed, round == rounds);
        if round % 25 == 0 || round == rounds {
            let seconds = clock.elapsed().as_secs();
            let counts = sum(&clients, &feed);
            eprintln!(
                "round {round} of {rounds}, {seconds} s: {killed_starts} starts killed, {counts}"
            );
        }
    }
    let total = total(&clients);
    // A load that the kills never met, or that never came to tokens, would prove nothing.
    for what in ["lost answers", "codes exchanged", "refreshes", "codes used again after a restart"]
    {
        assert!(total.get(what).is_some_and(|count| *count > 0), "no {what}: {total:?}");
    }
}

/// Kills the service once more while it opens the store that the last kill has left.
fn start_and_kill(gateway: &Deployment, after: Duration) {
    let folder = &gateway.stack().addresses().run_directory;
    let mut service = Command::new(built("ib-oauth"))
        .args(["serve", "--config"])
        .arg(folder.join("oauth.yaml"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the service can be started");
    thread::sleep(after);
    service.kill().expect("it can be killed");
    let status = service.wait().expect("it ends");
    assert_eq!(status.code(), None, "it ended by itself: {status}");
}

fn check(gateway: &Deployment, clients: &mut [Client], feed: &mut Feed, all: bool) {
    let nobody = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in &mut *clients {
            let mut lines = Lines::new(gateway.reach(), &nobody);
            scope.spawn(move || client.check(&mut lines, all));
        }
    });
    feed.follow(&mut Lines::new(gateway.reach(), &nobody));
    for token in clients.iter_mut().flat_map(|client| client.revoked.drain(..)) {
        feed.assert_has(&token);
    }
}

fn total(clients: &[Client]) -> BTreeMap<&'static str, u64> {
    let mut total = BTreeMap::new();
    for (what, count) in clients.iter().flat_map(|client| &client.counts) {
        *total.entry(*what).or_default() += count;
    }
    total
}

fn sum(clients: &[Client], feed: &Feed) -> String {
    let counts = total(clients);
    let counts: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    format!("{}, {} events of the feed", counts.join(", "), feed.events)
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}
