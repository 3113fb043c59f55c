//! What a test sees of the inside of a deployment: counters, gauges, the sid that a token stands for.

use std::fs;
use std::thread;
use std::time::Duration;

use ib_contract::TagKey;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::connection::Connection;
use crate::deadline::{Deadline, PATIENCE, eventually};
use crate::deployment::Deployment;
use crate::http::Request;
use crate::random::{random_bytes, unique};

/// Envoy's workers in development.
pub const WORKERS: u64 = 2;
/// Who hears the revocation feed: each worker's VM, and the one that Envoy keeps on its main thread.
pub const FEEDS: u64 = WORKERS + 1;

/// The name of the tag key in the development settings.
const TAG_KEY_ID: &str = "development";
/// How often a connection is opened in the search for one on each worker: with two workers the chance
/// of missing one of them is 2 to the minus 99.
const MOST_CONNECTIONS: usize = 100;

impl Deployment {
    /// A counter or gauge of the filter, such as `cache.result.hit`; 0 while Envoy has not heard of it.
    /// The filter reports every quarter of a second, so a test that expects a value waits for it.
    ///
    /// # Panics
    ///
    /// When Envoy does not tell.
    #[must_use]
    #[track_caller]
    pub fn filter_count(&self, name: &str) -> u64 {
        let name = format!("wasmcustom.ib_gateway.{name}");
        let stats = self.envoy_stats(&name);
        stats.iter().find(|(given, _)| *given == name).map_or(0, |(_, value)| *value)
    }

    /// Waits until a counter or gauge of the filter has this value.
    ///
    /// # Panics
    ///
    /// When it does not in time.
    #[track_caller]
    pub fn await_filter_count(&self, name: &str, value: u64) {
        let deadline = Deadline::after(PATIENCE);
        loop {
            let seen = self.filter_count(name);
            if seen == value {
                return;
            }
            assert!(deadline.remaining().is_ok(), "{name} is {seen} and not {value}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until every VM hears the revocation feed. A feed's first answer empties the cache, so a test
    /// that counts questions, or needs a token to be known, begins after it.
    ///
    /// # Panics
    ///
    /// When one of them does not in time.
    #[track_caller]
    pub fn await_feeds(&self) {
        self.await_filter_count("current_revocation_feeds", FEEDS);
    }

    /// Sets how much Envoy writes about the plugin: `trace` is every call in and out of its VM.
    ///
    /// # Panics
    ///
    /// When Envoy refuses.
    #[track_caller]
    pub fn set_plugin_log(&self, level: &str) {
        let address = self.reach().envoy_admin;
        let request = Request::new("POST", format!("/logging?wasm={level}")).body("");
        let answer = Connection::open(address)
            .and_then(|mut connection| connection.exchange(&request, &address.to_string()));
        answer.expect("an answer").with_status(200);
    }

    /// How many introspections the gateway has asked the service for, by the service's own count.
    ///
    /// # Panics
    ///
    /// When the service does not tell.
    #[must_use]
    #[track_caller]
    pub fn introspections(&self) -> u64 {
        self.service_count("oauth_introspections_total", &[("caller", "gateway")])
    }

    /// How many renewals of this cause had this result, by the service's own count.
    ///
    /// # Panics
    ///
    /// When the service does not tell.
    #[must_use]
    #[track_caller]
    pub fn renewals(&self, cause: &str, result: &str) -> u64 {
        self.service_count("oauth_renewals_total", &[("cause", cause), ("result", result)])
    }

    #[track_caller]
    fn service_count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let value = self.service_metric(name, labels);
        assert!(value >= 0.0 && value.fract() == 0.0, "{name} is no count: {value}");
        // Exact for counts far beyond what a test makes.
        format!("{value:.0}").parse().expect("a whole number")
    }

    /// The live sid that IntelligenceBank gets for a token. Clients see it masked, so the simulator's
    /// log tells.
    ///
    /// # Panics
    ///
    /// When the token is not served.
    #[must_use]
    #[track_caller]
    pub fn sid_of(&self, token: &str) -> String {
        let mark = unique("whose");
        // Under /api, where a dead session is noticed: a worker that is a generation behind goes on with
        // the newest, and the last request that arrives carries it.
        let request = self.proxied("GET", &format!("/api/3.0.0/{mark}/user?echo")).bearer(token);
        self.send(&request).with_status(200);
        let arrived = self.simulator().requests_marked(&mark);
        arrived.last().expect("the request should have arrived").header("sid")
    }

    /// An access token with the tag of this deployment's own key, which the service has not issued: only
    /// asking tells.
    ///
    /// # Panics
    ///
    /// When the key cannot be read.
    #[must_use]
    #[track_caller]
    pub fn unknown_token(&self) -> String {
        let secrets = self.reach().gateway_credential_file.parent().expect("a folder of secrets");
        let text = fs::read_to_string(secrets.join("token-tag-key")).expect("the tag key");
        let key = STANDARD.decode(text.trim()).expect("base64");
        let key = TagKey::new(TAG_KEY_ID, &key.try_into().expect("32 bytes")).expect("a tag key");
        key.issue(&random_bytes(32).try_into().expect("32 bytes"))
    }

    /// An open connection to each of Envoy's workers, which share nothing: each has a cache and a feed
    /// of its own. For stacks that only one test uses.
    ///
    /// # Panics
    ///
    /// When a worker is not met.
    #[must_use]
    #[track_caller]
    pub fn connection_to_each_worker(&self) -> Vec<Connection> {
        let mut met = vec![];
        for _ in 0..MOST_CONNECTIONS {
            let before = self.accepted_by_worker();
            let connection = self.connect().within(PATIENCE * 4);
            let after = eventually("the connection to be accepted", PATIENCE, || {
                let after = self.accepted_by_worker();
                (after != before).then_some(after)
            });
            met.resize_with(after.len(), || None);
            let changed = after.iter().zip(&before).position(|(after, before)| after != before);
            let worker = changed.expect("the worker that accepted");
            met[worker] = Some(connection);
            if met.iter().all(Option::is_some) {
                return met.into_iter().flatten().collect();
            }
        }
        panic!("{MOST_CONNECTIONS} connections did not meet every worker");
    }

    #[track_caller]
    fn accepted_by_worker(&self) -> Vec<u64> {
        let address = self.host().replace(':', "_");
        let mut workers: Vec<(String, u64)> =
            self.envoy_stats(&format!("listener.{address}.worker_"));
        workers.retain(|(name, _)| name.ends_with(".downstream_cx_total"));
        workers.sort();
        assert!(!workers.is_empty(), "Envoy counts its workers' connections under another name");
        workers.into_iter().map(|(_, value)| value).collect()
    }
}
