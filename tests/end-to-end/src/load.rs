//! Many requests: one after the other at a pace, or all at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::connection::Connection;
use crate::deadline::{Deadline, PATIENCE};
use crate::deployment::Deployment;
use crate::http::{Request, Response};

/// Threads that send many requests, each over its share of the connections in turn.
const THREADS: u32 = 2;

/// Requests at a steady rate.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Connections, each of which sends in its turn.
    pub connections: u32,
    /// Requests a second, over all connections.
    pub per_second: u32,
    /// Requests in all.
    pub total: u32,
}

impl Deployment {
    /// Sends `request(n)` for n from 0 at a pace, and gives each answer to `check` with its number and
    /// the time since the start.
    ///
    /// # Panics
    ///
    /// When a request gets no answer, or `check` panics.
    #[track_caller]
    pub fn load(
        &self,
        pace: Pace,
        request: impl Fn(u32) -> Request + Sync,
        check: impl Fn(u32, Duration, &Response) + Sync,
    ) {
        self.load_from(self.reach().gateway.ip(), pace, request, check);
    }

    /// Like [`Deployment::load`], from an address of one's own: on loopback, any of 127.0.0.0/8.
    ///
    /// # Panics
    ///
    /// When a request gets no answer, or `check` panics.
    #[track_caller]
    pub fn load_from(
        &self,
        source: IpAddr,
        pace: Pace,
        request: impl Fn(u32) -> Request + Sync,
        check: impl Fn(u32, Duration, &Response) + Sync,
    ) {
        let clock = Deadline::after(PATIENCE * 10);
        let (request, check) = (&request, &check);
        thread::scope(|scope| {
            for first in 0..pace.connections {
                scope.spawn(move || {
                    let mut connection = self.connect_from(source).within(PATIENCE * 10);
                    for number in (first..pace.total).step_by(pace.connections as usize) {
                        let due = Duration::from_secs(1) * number / pace.per_second;
                        thread::sleep(due.saturating_sub(clock.elapsed()));
                        let answer = connection
                            .exchange(&request(number), &self.host())
                            .unwrap_or_else(|error| panic!("request {number}: {error}"));
                        check(number, clock.elapsed(), &answer);
                    }
                });
            }
        });
    }

    /// Sends every request on a connection of its own, all of them before any answer is read, and gives
    /// the answers in the same order.
    ///
    /// # Panics
    ///
    /// When one gets no answer.
    #[track_caller]
    pub fn send_all_at_once(&self, requests: &[Request]) -> Vec<Response> {
        let mut connections = self.begin_all(requests);
        connections
            .iter_mut()
            .zip(requests)
            .map(|(connection, request)| {
                connection.read_response(request.method()).expect("a whole answer")
            })
            .collect()
    }

    /// Sends every request on a connection of its own and reads nothing yet.
    ///
    /// # Panics
    ///
    /// When the gateway does not take one.
    #[must_use]
    #[track_caller]
    pub fn begin_all(&self, requests: &[Request]) -> Vec<Connection> {
        let mut connections: Vec<_> =
            requests.iter().map(|_| self.connect().within(PATIENCE * 2)).collect();
        for (connection, request) in connections.iter_mut().zip(requests) {
            connection.write(&request.to_bytes(&self.host())).expect("the gateway takes it");
        }
        connections
    }

    /// Sends `total` GETs as fast as answers come, on `connections`, and gives how often each status
    /// came. (Not pipelined: Envoy closes a connection whose pipeline it would answer by itself.)
    ///
    /// # Panics
    ///
    /// When one gets no answer.
    #[must_use]
    #[track_caller]
    pub fn send_many(
        &self,
        connections: u32,
        total: u32,
        request: impl Fn(u32) -> Request + Sync,
    ) -> Vec<(u16, u32)> {
        let counts = Mutex::new(BTreeMap::<u16, u32>::new());
        let (request, counts_of_all) = (&request, &counts);
        let rounds = total.div_ceil(connections);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    let own = (thread..connections).step_by(THREADS as usize);
                    let mut own: Vec<_> =
                        own.map(|number| (number, self.connect().within(PATIENCE * 4))).collect();
                    let mut counted = BTreeMap::<u16, u32>::new();
                    for round in 0..rounds {
                        own.retain(|(place, _)| round * connections + place < total);
                        for (place, connection) in &mut own {
                            let request = request(round * connections + *place);
                            let bytes = request.to_bytes(&self.host());
                            connection.write(&bytes).expect("the gateway takes it");
                        }
                        for (_, connection) in &mut own {
                            let answer = connection.read_response("GET").expect("a whole answer");
                            *counted.entry(answer.status).or_default() += 1;
                        }
                    }
                    let mut counts = counts_of_all.lock().expect("no thread has panicked");
                    counted.into_iter().for_each(|(status, count)| {
                        *counts.entry(status).or_default() += count;
                    });
                });
            }
        });
        counts.into_inner().expect("no thread has panicked").into_iter().collect()
    }
}
