use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Audit, AuditSettings, Destination, Entry, Event, Origin, Outcome};
use crate::{clock::ManualClock, metrics::Metrics};

const LONG: Duration = Duration::from_secs(30);

struct Log {
    audit: Arc<Audit>,
    metrics: Arc<Metrics>,
    path: PathBuf,
    _folder: TempDir,
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        Self::at(folder, path, 1_000, false)
    }

    fn at(folder: TempDir, path: PathBuf, queue: usize, required: bool) -> Self {
        let destination = Destination::File(path.clone());
        let settings = AuditSettings { destination, required, queue };
        let metrics = Arc::new(Metrics::new());
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let audit = Arc::new(Audit::start(&settings, clock, Arc::clone(&metrics)));
        Self { audit, metrics, path, _folder: folder }
    }

    fn record(&self, entry: &Entry<'_>) {
        Origin::new(&self.audit, Some("request-1"), None).record(entry);
    }

    fn settle(&self) {
        self.audit.settle(LONG);
    }

    fn counts(&self, result: &str, expected: u64) {
        let line = format!("oauth_audit_events_total{{result=\"{result}\"}} {expected}");
        let rendered = self.metrics.render();
        assert!(rendered.contains(&line), "no {line} in {rendered}");
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn begun() -> Entry<'static> {
    Entry::success(Event::LoginBegun)
}

#[test]
fn an_auditor_reads_who_did_what_when_and_for_which_request() {
    let log = Log::new();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let origin = Origin::new(&log.audit, Some("request-1"), Some(trace));
    let entry = Entry::new(Event::RefreshTokenReused, Outcome::Denied).reason("why");
    origin.record(&entry.client("one").subject("person").platform("a.example").grant("g1"));
    log.settle();
    let expected = serde_json::json!({
        "time": "2027-01-15T08:00:00Z", "event": "refresh_token_reused", "outcome": "denied",
        "reason": "why", "client_id": "one", "platform": "a.example", "grant": "g1",
        // As in the gateway's notes about its streams: the start of the same hash.
        "subject": ib_contract::token_sha256("person").chars().take(16).collect::<String>(),
        "request_id": "request-1", "trace_id": trace,
    });
    assert_eq!(lines(&log.path), [expected]);
    log.counts("written", 1);
}

#[test]
fn only_its_owner_can_read_the_log() {
    let log = Log::new();
    let mode = std::fs::metadata(&log.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_log_that_was_there_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    std::fs::write(&path, "{\"event\":\"earlier\"}\n").unwrap();
    let log = Log::at(folder, path, 1_000, false);
    log.record(&begun());
    log.settle();
    let events: Vec<_> = lines(&log.path).iter().map(|line| line["event"].clone()).collect();
    assert_eq!(events, ["earlier", "login_begun"]);
}

#[test]
fn a_log_that_was_moved_away_is_made_anew_and_loses_nothing() {
    let log = Log::new();
    log.record(&begun());
    log.settle();
    let moved = log.path.with_extension("1");
    std::fs::rename(&log.path, &moved).unwrap();
    log.record(&Entry::success(Event::CodeIssued));
    log.settle();
    assert_eq!(lines(&moved).len(), 1);
    let now = lines(&log.path);
    assert_eq!(now.len(), 1);
    assert_eq!(now[0]["event"], "code_issued");
    let mode = std::fs::metadata(&log.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn events_wait_while_the_log_cannot_be_written_and_are_written_once_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("folder");
    let log = Log::at(folder, missing.join("audit.jsonl"), 1_000, true);
    assert!(log.audit.failure().is_some());
    assert!(log.audit.forbids_grants(), "a required log that cannot be written");
    log.record(&begun());
    assert!(log.metrics.render().contains("oauth_audit_failing 1"));
    std::fs::create_dir(&missing).unwrap();
    log.settle();
    assert_eq!(lines(&log.path).len(), 1);
    assert!(!log.audit.forbids_grants());
    assert!(log.metrics.render().contains("oauth_audit_failing 0"));
    log.counts("lost", 0);
}

#[test]
fn at_the_bound_of_the_queue_events_are_counted_as_lost_and_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("folder");
    for required in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::at(folder, missing.join("audit.jsonl"), 16, required);
        // The writer holds some, the queue 16, and there is no place for the others.
        for _ in 0..1_000 {
            log.record(&begun());
        }
        assert_eq!(log.audit.forbids_grants(), required);
        // What is left when the service stops is lost too.
        log.audit.close(LONG);
        log.counts("lost", 1_000);
        log.counts("written", 0);
    }
}

#[test]
fn when_a_required_log_can_be_written_again_grants_go_on_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("folder");
    let log = Log::at(folder, missing.join("audit.jsonl"), 16, true);
    for _ in 0..1_000 {
        log.record(&begun());
    }
    assert!(log.audit.forbids_grants());
    std::fs::create_dir(&missing).unwrap();
    log.settle();
    // Nothing is recorded while nothing is granted: no event needs to come for this.
    assert!(!log.audit.forbids_grants());
    assert!((16..1_000).contains(&lines(&log.path).len()));
}

#[test]
fn without_a_log_nothing_is_kept_and_nothing_fails() {
    let settings = AuditSettings { destination: Destination::Nowhere, required: false, queue: 16 };
    let metrics = Arc::new(Metrics::new());
    let clock = Arc::new(ManualClock::at(0));
    let audit = Arc::new(Audit::start(&settings, clock, metrics));
    Origin::new(&audit, None, None).record(&begun());
    audit.close(LONG);
    assert!(!audit.forbids_grants());
}
