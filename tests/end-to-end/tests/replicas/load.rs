//! What clients do meanwhile: call with tokens that the gateway knows, call with ones that it does not know
//! yet, and log in.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ib_end_to_end::{
    Connection, Deployment, Grant, LOOPBACK_REDIRECT, PATIENCE, PUBLIC_CLIENT, Request, eventually,
};

/// Clients that call all the time, each on a connection of its own.
const CALLERS: usize = 6;
/// The pause between two calls of one of them.
const PAUSE: Duration = Duration::from_millis(10);
/// The pause between two fresh tokens.
const FRESH_PAUSE: Duration = Duration::from_millis(60);

/// The grants that the load is made with.
pub(crate) struct Tokens {
    /// Shown before, on every worker.
    pub(crate) warm: Vec<Grant>,
    /// Shown once each, while the load runs.
    pub(crate) fresh: Vec<Grant>,
}

pub(crate) struct Load<'a> {
    gateway: &'a Deployment,
    tokens: &'a Tokens,
    is_over: AtomicBool,
    may_log_in: AtomicBool,
    warm_calls: AtomicU64,
    fresh_calls: AtomicU64,
    logins: AtomicU64,
    /// Answers other than 200, and connections that broke, with how often.
    troubles: Mutex<BTreeMap<String, u64>>,
}

impl<'a> Load<'a> {
    pub(crate) fn new(gateway: &'a Deployment, tokens: &'a Tokens) -> Self {
        let load = Self {
            gateway,
            tokens,
            is_over: AtomicBool::new(false),
            may_log_in: AtomicBool::new(false),
            warm_calls: AtomicU64::new(0),
            fresh_calls: AtomicU64::new(0),
            logins: AtomicU64::new(0),
            troubles: Mutex::new(BTreeMap::new()),
        };
        load.warm_up();
        load
    }

    /// Shows every warm token on so many connections that no worker is left out, until nobody has to ask for
    /// one any more.
    fn warm_up(&self) {
        eventually("every worker to know the warm tokens", PATIENCE, || {
            let before = self.gateway.filter_count("cache.result.miss");
            for grant in &self.tokens.warm {
                let request = warm_call(self.gateway, grant);
                let requests = vec![request; CALLERS * 4];
                for answer in self.gateway.send_all_at_once(&requests) {
                    answer.with_status(200);
                }
            }
            // The filter reports four times a second.
            thread::sleep(Duration::from_millis(600));
            (self.gateway.filter_count("cache.result.miss") == before).then_some(())
        });
    }

    /// Runs the load for as long as `disturb` takes.
    pub(crate) fn while_it_runs(&self, disturb: impl FnOnce()) {
        thread::scope(|scope| {
            let over = Over(&self.is_over);
            for caller in 0..CALLERS {
                scope.spawn(move || self.call_with_warm_tokens(caller));
            }
            scope.spawn(|| self.call_with_fresh_tokens());
            scope.spawn(|| self.log_in_again_and_again());
            disturb();
            drop(over);
        });
    }

    /// From now on somebody logs in all the time.
    pub(crate) fn begin_logins(&self) {
        self.may_log_in.store(true, Ordering::Relaxed);
    }

    /// How many logins went through.
    pub(crate) fn logins(&self) -> u64 {
        self.logins.load(Ordering::Relaxed)
    }

    /// Waits for this many calls since the start.
    #[track_caller]
    pub(crate) fn await_requests(&self, count: u64) {
        eventually("the calls of the load", PATIENCE, || {
            (self.warm_calls.load(Ordering::Relaxed) >= count).then_some(())
        });
    }

    /// Waits for this many calls from now on.
    #[track_caller]
    pub(crate) fn await_more_requests(&self, count: u64) {
        self.await_requests(self.warm_calls.load(Ordering::Relaxed) + count);
    }

    /// Waits for this many logins since the start.
    #[track_caller]
    pub(crate) fn await_logins(&self, count: u64) {
        eventually("the logins of the load", PATIENCE, || (self.logins() >= count).then_some(()));
    }

    /// Not one answer but 200, with warm tokens and with fresh ones, and no broken connection.
    #[track_caller]
    pub(crate) fn assert_nobody_noticed(&self) {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let [warm, fresh] =
            [&self.warm_calls, &self.fresh_calls].map(|calls| calls.load(Ordering::Relaxed));
        eprintln!(
            "{warm} calls with warm tokens, {fresh} with fresh ones, {} logins",
            self.logins()
        );
        assert!(troubles.is_empty(), "of {warm} warm and {fresh} fresh calls: {troubles:?}");
        assert!(warm > 0 && fresh > 0, "{warm} warm and {fresh} fresh calls are no load");
    }

    fn call_with_warm_tokens(&self, caller: usize) {
        let mut connection = self.gateway.connect().within(PATIENCE * 10);
        for grant in self.tokens.warm.iter().cycle().skip(caller) {
            if self.is_over() {
                return;
            }
            self.call(&mut connection, &warm_call(self.gateway, grant), "warm");
            self.warm_calls.fetch_add(1, Ordering::Relaxed);
            thread::sleep(PAUSE);
        }
    }

    fn call_with_fresh_tokens(&self) {
        let mut connection = self.gateway.connect().within(PATIENCE * 10);
        for grant in &self.tokens.fresh {
            if self.is_over() {
                return;
            }
            let request = self.gateway.proxied("GET", "/fresh?echo").bearer(&grant.access_token);
            self.call(&mut connection, &request, "fresh");
            self.fresh_calls.fetch_add(1, Ordering::Relaxed);
            thread::sleep(FRESH_PAUSE);
        }
    }

    fn call(&self, connection: &mut Connection, request: &Request, what: &str) {
        let trouble = match connection.exchange(request, &self.gateway.host()) {
            Ok(answer) if answer.status == 200 => return,
            Ok(answer) => format!("{what}: {} {}", answer.status, answer.text()),
            Err(error) => {
                *connection = self.gateway.connect().within(PATIENCE * 10);
                format!("{what}: {error}")
            }
        };
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        *troubles.entry(trouble).or_default() += 1;
    }

    /// Each login is a dozen requests to the service, and one with the token that it gave. Whatever is
    /// refused fails the test.
    fn log_in_again_and_again(&self) {
        let client = self.gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
        while !self.is_over() {
            if !self.may_log_in.load(Ordering::Relaxed) {
                thread::sleep(PAUSE);
                continue;
            }
            let token = client.log_in("ada").access_token;
            let request = self.gateway.proxied("GET", "/logged-in?echo").bearer(&token);
            self.gateway.send(&request).with_status(200);
            self.logins.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

fn warm_call(gateway: &Deployment, grant: &Grant) -> Request {
    gateway.proxied("GET", "/warm?echo").bearer(&grant.access_token)
}

/// Ends the load also when what disturbs it panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
