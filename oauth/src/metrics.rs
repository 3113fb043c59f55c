//! What Prometheus can scrape. The recorder belongs to one service, so that tests do not share it.

use std::time::Duration;

use ib_contract::{RenewalCause, Revoked};
use metrics::{Key, KeyName, Label, Level, Metadata, Recorder as _, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::keys::KeyKind;

mod audit;
mod errors;
mod labels;
mod machine_credentials;
mod process;
mod sessions;
mod store;
mod upstream;

pub(crate) use labels::{
    AtTheUpstream, Caller, IntrospectionResult, LoginEvent, RenewalResult, Replayed,
};
pub(crate) use machine_credentials::CredentialState;
pub(crate) use sessions::SessionEvent;
pub(crate) use upstream::UpstreamRequest;

const INTROSPECTIONS: &str = "oauth_introspections_total";
const REQUESTS: &str = "oauth_requests_total";
const DURATIONS: &str = "oauth_request_duration_seconds";
const LOGINS: &str = "oauth_logins_total";
const ISSUED: &str = "oauth_tokens_issued_total";
const REPLAYS: &str = "oauth_replays_total";
const RENEWALS: &str = "oauth_renewals_total";
const LOGOUTS: &str = "oauth_logouts_total";
const REVOCATIONS: &str = "oauth_revocations_total";
const FEED_WAITING: &str = "oauth_revocation_feed_waiting";
const KEY_RELOADS: &str = "oauth_key_reloads_total";
const KEY_ROTATIONS: &str = "oauth_key_rotations_total";
const KEY_POLLS_FAILED: &str = "oauth_key_polls_failed_total";
const LIMITED: &str = "oauth_limited_total";
const CIRCUITS_OPENED: &str = "oauth_platform_circuits_opened_total";
const PLATFORM_REFUSED: &str = "oauth_platform_requests_refused_total";
const TLS_RELOADS: &str = "oauth_internal_tls_reloads_total";
const TLS_REFUSED: &str = "oauth_internal_tls_refused_total";
const UNKNOWN_KEYS: &str = "oauth_records_of_unknown_keys_total";
/// Upper bounds of the histogram's buckets, in seconds.
const BUCKETS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];
/// Each limit, and the endpoints that it may refuse at ([`crate::limits`]).
const LIMITS: [(&str, &[&str]); 5] = [
    ("address", &["login", "poll", "token", "introspect", "revoke", "register"]),
    ("client", &["login", "token", "introspect", "revoke"]),
    ("failed_authentication", &["token", "introspect", "revoke"]),
    ("platform", &["login"]),
    ("pending_logins", &["login"]),
];
const METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// The counters and histograms.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    #[cfg(test)]
    upkeeps: std::sync::atomic::AtomicU64,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        // The list is not empty, which is the one thing that can be wrong with it.
        let builder = PrometheusBuilder::new();
        let recorder = match builder.set_buckets(&BUCKETS) {
            Ok(builder) => builder.build_recorder(),
            Err(_) => PrometheusBuilder::new().build_recorder(),
        };
        let handle = recorder.handle();
        let metrics = Self {
            recorder,
            handle,
            #[cfg(test)]
            upkeeps: std::sync::atomic::AtomicU64::new(0),
        };
        metrics.describe();
        metrics
    }

    /// The text that a scrape gets.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// Puts what was measured into its buckets. Until then every single value is kept, so this must
    /// happen every now and then, whether or not anybody scrapes.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
        #[cfg(test)]
        self.upkeeps.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    /// How often [`Metrics::upkeep`] was called: the recorder does not show what it keeps.
    #[cfg(test)]
    pub(crate) fn upkeeps(&self) -> u64 {
        self.upkeeps.load(std::sync::atomic::Ordering::SeqCst)
    }

    pub(crate) fn introspection(&self, caller: Caller, result: IntrospectionResult) {
        let labels = [("caller", caller.label()), ("result", result.label())];
        self.count(INTROSPECTIONS, &labels, 1);
    }

    /// One request: `endpoint` is a route's template, never a path that a client chose.
    pub(crate) fn request(&self, endpoint: &str, status: u16, duration: Duration) {
        let status = status.to_string();
        let endpoint = SharedString::from(endpoint.to_owned());
        let labels = vec![
            Label::new("endpoint", endpoint.clone()),
            Label::new("status", SharedString::from(status)),
        ];
        self.recorder.register_counter(&Key::from_parts(REQUESTS, labels), &METADATA).increment(1);
        let key = Key::from_parts(DURATIONS, vec![Label::new("endpoint", endpoint)]);
        self.recorder.register_histogram(&key, &METADATA).record(duration.as_secs_f64());
    }

    pub(crate) fn login(&self, event: LoginEvent) {
        self.count(LOGINS, &[("event", event.label())], 1);
    }

    pub(crate) fn issued(&self, grant_type: &'static str) {
        self.count(ISSUED, &[("grant_type", grant_type)], 1);
    }

    pub(crate) fn replay(&self, what: Replayed) {
        self.count(REPLAYS, &[("what", what.label())], 1);
    }

    pub(crate) fn renewal(&self, cause: RenewalCause, result: RenewalResult) {
        self.count(RENEWALS, &[("cause", cause.as_str()), ("result", result.label())], 1);
    }

    /// A session that was not over was logged out.
    pub(crate) fn logout(&self, upstream: AtTheUpstream) {
        self.count(LOGOUTS, &[("upstream", upstream.label())], 1);
    }

    /// An event was written to the revocation feed.
    pub(crate) fn revocation(&self, revoked: &Revoked) {
        self.count(REVOCATIONS, &[("what", labels::revoked(revoked))], 1);
    }

    /// A poll of the revocation feed begins (1) or ends (-1) to wait.
    pub(crate) fn feed_waiting(&self, change: f64) {
        self.recorder
            .register_gauge(&Key::from_static_name(FEED_WAITING), &METADATA)
            .increment(change);
    }

    /// A record was read that no configured key opens.
    pub(crate) fn unknown_sealing_key(&self) {
        self.count(UNKNOWN_KEYS, &[], 1);
    }

    /// The files of keys and credentials were read again.
    pub(crate) fn key_reload(&self, succeeded: bool) {
        let result = if succeeded { "success" } else { "failure" };
        self.count(KEY_RELOADS, &[("result", result)], 1);
    }

    /// A new key was put into the store.
    pub(crate) fn key_rotation(&self, kind: KeyKind) {
        self.count(KEY_ROTATIONS, &[("kind", kind.name())], 1);
    }

    /// The keys in the store could not be looked at.
    pub(crate) fn key_poll_failed(&self) {
        self.count(KEY_POLLS_FAILED, &[], 1);
    }

    /// A request was refused at a limit; the labels are those of [`crate::limits`].
    pub(crate) fn limited(&self, limit: &'static str, endpoint: &'static str) {
        self.count(LIMITED, &[("limit", limit), ("endpoint", endpoint)], 1);
    }

    /// A platform is not asked for a while.
    pub(crate) fn circuit_opened(&self) {
        self.count(CIRCUITS_OPENED, &[], 1);
    }

    /// A platform was not asked: `circuit_open` or `busy`.
    pub(crate) fn platform_refused(&self, reason: &'static str) {
        self.count(PLATFORM_REFUSED, &[("reason", reason)], 1);
    }

    /// The certificates of the internal port have changed.
    pub(crate) fn internal_tls_reloaded(&self, is_usable: bool) {
        let result = if is_usable { "replaced" } else { "unusable" };
        self.count(TLS_RELOADS, &[("result", result)], 1);
    }

    /// A peer of the internal port did not get through the TLS handshake.
    pub(crate) fn internal_tls_refused(&self) {
        self.count(TLS_REFUSED, &[], 1);
    }

    fn count(&self, name: &'static str, labels: &[(&'static str, &'static str)], by: u64) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| Label::from_static_parts(name, value)).collect();
        self.recorder.register_counter(&Key::from_parts(name, labels), &METADATA).increment(by);
    }

    /// Help texts, and the series that alerts look at, so that they are there before the first event.
    fn describe(&self) {
        let counters = [
            (INTROSPECTIONS, "Token introspections by caller and result."),
            (REQUESTS, "Requests by endpoint (route template) and status."),
            (LOGINS, "Logins begun, completed and failed."),
            (ISSUED, "Access tokens issued, by grant type."),
            (REPLAYS, "Codes, refresh tokens and client assertions presented a second time."),
            (LOGOUTS, "Live sessions logged out, by what became of them at IntelligenceBank."),
            (RENEWALS, "Renewals asked for by the gateway, by cause and result."),
            (REVOCATIONS, "Events of the revocation feed, by what ended."),
            (KEY_RELOADS, "Times that keys and credentials were read again (SIGHUP), by result."),
            (KEY_ROTATIONS, "Keys that were added to the store, by kind."),
            (KEY_POLLS_FAILED, "Looks at the keys in the store that failed."),
            (LIMITED, "Requests refused at a limit, by limit and endpoint."),
            (CIRCUITS_OPENED, "How often a platform was left alone for a while."),
            (PLATFORM_REFUSED, "Requests of platforms that were not made, by reason."),
            (TLS_RELOADS, "Changes of the internal port's certificates, by result."),
            (TLS_REFUSED, "TLS handshakes that failed on the internal port."),
            (UNKNOWN_KEYS, "Records read whose sealing key is not configured; taken as absent."),
        ];
        for (name, help) in counters {
            let (name, help) = (KeyName::from(name), SharedString::from(help));
            self.recorder.describe_counter(name, Some(Unit::Count), help);
        }
        self.recorder.describe_histogram(
            KeyName::from(DURATIONS),
            Some(Unit::Seconds),
            SharedString::from("Time to answer, by endpoint, in seconds."),
        );
        for result in ["active", "invalid_token", "session_expired"] {
            for caller in ["gateway", "client"] {
                self.count(INTROSPECTIONS, &[("caller", caller), ("result", result)], 0);
            }
        }
        let waiting = SharedString::from("Polls of the revocation feed that wait for an event.");
        self.recorder.describe_gauge(KeyName::from(FEED_WAITING), Some(Unit::Count), waiting);
        self.feed_waiting(0.0);
        for event in LoginEvent::ALL {
            self.count(LOGINS, &[("event", event.label())], 0);
        }
        for what in ["session", "access_token"] {
            self.count(REVOCATIONS, &[("what", what)], 0);
        }
        for result in RenewalResult::ALL {
            for cause in [RenewalCause::NearExpiry, RenewalCause::Rejected] {
                let labels = [("cause", cause.as_str()), ("result", result.label())];
                self.count(RENEWALS, &labels, 0);
            }
        }
        for upstream in AtTheUpstream::ALL {
            self.count(LOGOUTS, &[("upstream", upstream.label())], 0);
        }
        for what in Replayed::ALL {
            self.count(REPLAYS, &[("what", what.label())], 0);
        }
        for (limit, endpoints) in LIMITS {
            for endpoint in endpoints {
                self.count(LIMITED, &[("limit", limit), ("endpoint", *endpoint)], 0);
            }
        }
        self.count(CIRCUITS_OPENED, &[], 0);
        for reason in ["circuit_open", "busy"] {
            self.count(PLATFORM_REFUSED, &[("reason", reason)], 0);
        }
        for result in ["replaced", "unusable"] {
            self.count(TLS_RELOADS, &[("result", result)], 0);
        }
        self.count(TLS_REFUSED, &[], 0);
        self.count(UNKNOWN_KEYS, &[], 0);
        for result in ["success", "failure"] {
            self.count(KEY_RELOADS, &[("result", result)], 0);
        }
        for kind in KeyKind::ALL {
            self.count(KEY_ROTATIONS, &[("kind", kind.name())], 0);
        }
        self.count(KEY_POLLS_FAILED, &[], 0);
        self.describe_audit();
        self.describe_errors();
        self.describe_machine_credentials();
        self.describe_process();
        self.describe_sessions();
        self.describe_store();
        self.describe_upstream();
    }
}
