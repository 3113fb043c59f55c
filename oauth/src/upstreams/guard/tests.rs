use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ib_contract::Secret;

use super::{Guarded, MOST_PLATFORMS};
use crate::{
    clock::ManualClock,
    metrics::Metrics,
    settings::UpstreamBounds,
    upstreams::{Answer, BegunLogin, Ended, LoginProgress, LoginUpstream, UpstreamError},
};

const HOST: &str = "company.intelligencebank.com";
const OTHER: &str = "other.intelligencebank.com";
const DOWN: UpstreamError = UpstreamError::Unreachable("test");

/// Answers as it is told, once the gate is open.
struct Fake {
    says: Mutex<Option<UpstreamError>>,
    asked: AtomicUsize,
    gate: tokio::sync::watch::Sender<bool>,
}

impl LoginUpstream for Fake {
    fn begin<'a>(&'a self, _: &'a str) -> Answer<'a, BegunLogin> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.gate.subscribe().wait_for(|open| *open).await.unwrap();
            match self.says.lock().unwrap().clone() {
                Some(error) => Err(error),
                None => Ok(BegunLogin { url: Secret::new("u"), login: Secret::new("l") }),
            }
        })
    }

    fn progress<'a>(&'a self, _: &'a str, _: &'a Secret) -> Answer<'a, LoginProgress> {
        Box::pin(async { Ok(LoginProgress::Pending) })
    }

    fn end<'a>(&'a self, _: &'a str, _: &'a Secret) -> Answer<'a, Ended> {
        Box::pin(async { Ok(Ended::NoWay) })
    }
}

struct Room {
    fake: Arc<Fake>,
    guarded: Arc<Guarded>,
    clock: Arc<ManualClock>,
    metrics: Arc<Metrics>,
}

impl Room {
    fn new(concurrent: usize, concurrent_per_platform: usize) -> Self {
        let fake = Arc::new(Fake {
            says: Mutex::new(None),
            asked: AtomicUsize::new(0),
            gate: tokio::sync::watch::Sender::new(true),
        });
        let (clock, metrics) = (Arc::new(ManualClock::at(1_000)), Arc::new(Metrics::new()));
        let bounds = UpstreamBounds {
            concurrent,
            concurrent_per_platform,
            failures: 3,
            open: Duration::from_secs(10),
        };
        let guarded = Guarded::new(fake.clone(), bounds, clock.clone(), Arc::clone(&metrics));
        Self { fake, guarded: Arc::new(guarded), clock, metrics }
    }

    fn says(&self, error: Option<UpstreamError>) {
        *self.fake.says.lock().unwrap() = error;
    }

    async fn ask(&self, host: &str) -> Result<(), UpstreamError> {
        self.guarded.begin(host).await.map(|_| ())
    }

    /// Whether the platform was asked.
    async fn reaches(&self, host: &str) -> bool {
        let before = self.fake.asked.load(Ordering::SeqCst);
        self.ask(host).await.ok();
        self.fake.asked.load(Ordering::SeqCst) > before
    }

    fn pass(&self, milliseconds: u64) {
        self.clock.advance(Duration::from_millis(milliseconds));
    }

    fn remembered(&self) -> usize {
        self.guarded.platforms().len()
    }

    /// Begins a request that hangs, and waits until it has reached the platform.
    async fn hang(&self, host: &'static str) -> tokio::task::JoinHandle<Result<(), UpstreamError>> {
        let before = self.fake.asked.load(Ordering::SeqCst);
        let guarded = Arc::clone(&self.guarded);
        let task = tokio::spawn(async move { guarded.begin(host).await.map(|_| ()) });
        while self.fake.asked.load(Ordering::SeqCst) == before {
            tokio::task::yield_now().await;
        }
        task
    }
}

#[tokio::test]
async fn a_logout_that_asks_nobody_closes_no_circuit_and_forgives_no_failure() {
    let room = Room::new(10, 10);
    room.says(Some(DOWN));
    let sid = Secret::new("s");
    for _ in 0..3 {
        assert!(room.reaches(HOST).await);
        room.guarded.end(HOST, &sid).await.ok();
    }
    assert!(!room.reaches(HOST).await, "the circuit is open");
    room.pass(10_000);
    assert_eq!(room.guarded.end(HOST, &sid).await, Ok(Ended::NoWay));
    assert!(room.reaches(HOST).await, "the next one tries");
    assert!(!room.reaches(HOST).await, "and its failure opens the circuit again");
}

#[tokio::test]
async fn a_platform_that_fails_again_and_again_is_left_alone_and_the_others_are_not() {
    let room = Room::new(10, 10);
    room.says(Some(DOWN));
    for _ in 0..3 {
        assert!(room.reaches(HOST).await);
    }
    assert!(!room.reaches(HOST).await);
    let error = room.ask(HOST).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable(_)), "{error}");
    room.says(None);
    assert!(room.reaches(OTHER).await);
    room.pass(9_999);
    assert!(!room.reaches(HOST).await);
    room.pass(1);
    assert_eq!(room.ask(HOST).await, Ok(()));
    assert!(room.reaches(HOST).await);
    assert_eq!(room.remembered(), 0, "who is well is not remembered");
    let shown = room.metrics.render();
    assert!(shown.contains("oauth_platform_circuits_opened_total 1"), "{shown}");
    let refused = r#"oauth_platform_requests_refused_total{reason="circuit_open"} 3"#;
    assert!(shown.contains(refused), "{shown}");
}

#[tokio::test]
async fn an_answer_in_between_begins_the_count_anew() {
    let room = Room::new(10, 10);
    for error in [Some(DOWN), Some(DOWN), None, Some(DOWN), Some(DOWN)] {
        room.says(error);
        assert!(room.reaches(HOST).await);
    }
    // A refusal is an answer too, a server error is none.
    room.says(Some(UpstreamError::NotAPlatform { status: 404 }));
    assert!(room.reaches(HOST).await);
    room.says(Some(UpstreamError::NotAPlatform { status: 502 }));
    for _ in 0..3 {
        assert!(room.reaches(HOST).await);
    }
    assert!(!room.reaches(HOST).await);
}

#[tokio::test]
async fn after_the_pause_one_asks_and_decides_for_all() {
    let room = Room::new(10, 10);
    room.says(Some(DOWN));
    for _ in 0..3 {
        room.ask(HOST).await.unwrap_err();
    }
    room.pass(10_000);
    room.fake.gate.send_replace(false);
    let probe = room.hang(HOST).await;
    assert!(!room.reaches(HOST).await, "somebody is asking already");
    room.fake.gate.send_replace(true);
    assert_eq!(probe.await.unwrap(), Err(DOWN));
    room.pass(9_999);
    assert!(!room.reaches(HOST).await);
    room.pass(1);
    // Whoever asked has gone away: the next one tries.
    room.fake.gate.send_replace(false);
    let probe = room.hang(HOST).await;
    probe.abort();
    probe.await.unwrap_err();
    room.fake.gate.send_replace(true);
    assert!(room.reaches(HOST).await);
}

#[tokio::test]
async fn a_platform_that_asks_for_a_pause_gets_it_at_once() {
    let room = Room::new(10, 10);
    room.says(Some(UpstreamError::Limited { retry_after: Some(42) }));
    assert!(room.reaches(HOST).await);
    room.pass(41_999);
    assert!(!room.reaches(HOST).await);
    room.pass(1);
    room.says(Some(UpstreamError::Limited { retry_after: None }));
    assert!(room.reaches(HOST).await);
    room.pass(10_000);
    // It cannot be silenced for ever.
    room.says(Some(UpstreamError::Limited { retry_after: Some(u64::MAX) }));
    assert!(room.reaches(HOST).await);
    room.pass(299_999);
    assert!(!room.reaches(HOST).await);
    room.pass(1);
    assert!(room.reaches(HOST).await);
}

#[tokio::test]
async fn one_slow_platform_takes_its_share_of_requests_and_no_more() {
    let room = Room::new(3, 2);
    room.fake.gate.send_replace(false);
    let hanging = [room.hang(HOST).await, room.hang(HOST).await];
    assert!(!room.reaches(HOST).await);
    let third = room.hang(OTHER).await;
    assert!(!room.reaches("third.intelligencebank.com").await, "there are three in all");
    room.fake.gate.send_replace(true);
    for task in hanging.into_iter().chain([third]) {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
    // Being full is no failure of the platform.
    assert!(room.reaches(HOST).await);
    assert_eq!(room.remembered(), 0);
}

#[tokio::test]
async fn what_is_remembered_of_platforms_that_do_not_exist_is_bounded() {
    let room = Room::new(10, 10);
    room.says(Some(DOWN));
    for _ in 0..3 {
        room.ask(HOST).await.unwrap_err();
    }
    for number in 0..MOST_PLATFORMS {
        room.ask(&format!("x{number}.intelligencebank.com")).await.unwrap_err();
    }
    assert_eq!(room.remembered(), MOST_PLATFORMS);
    assert!(
        !room.reaches(HOST).await,
        "an open circuit outlasts those that have just begun to fail"
    );
}
