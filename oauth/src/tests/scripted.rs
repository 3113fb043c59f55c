//! An IntelligenceBank that does what a test says.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use ib_contract::Secret;

use super::NOW;
use crate::upstreams::{
    Answer, BegunLogin, Ended, LoginProgress, LoginUpstream, Person, UpstreamError, UpstreamSession,
};

pub(super) const SID: &str = "5e55104d5e55104d5e55104d5e55104d";

/// Every login of it shares one script.
pub(super) struct Scripted {
    next: Mutex<Result<LoginProgress, UpstreamError>>,
    begin: Mutex<Result<(), UpstreamError>>,
    pub(super) end: Mutex<Result<Ended, UpstreamError>>,
    /// Host and sid of each session that was to be ended.
    pub(super) ended: Mutex<Vec<(String, String)>>,
    pub(super) begun: AtomicUsize,
    pub(super) asked: AtomicUsize,
    /// While it is closed nobody gets an answer.
    gate: tokio::sync::watch::Sender<bool>,
}

impl Default for Scripted {
    fn default() -> Self {
        Self {
            next: Mutex::new(Ok(LoginProgress::Pending)),
            begin: Mutex::new(Ok(())),
            end: Mutex::new(Ok(Ended::NoWay)),
            ended: Mutex::default(),
            begun: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            gate: tokio::sync::watch::Sender::new(true),
        }
    }
}

impl Scripted {
    pub(super) fn answers(&self, next: Result<LoginProgress, UpstreamError>) {
        *self.next.lock().unwrap() = next;
    }

    pub(super) fn log_in(&self) {
        self.log_in_with(session());
    }

    pub(super) fn log_in_with(&self, session: UpstreamSession) {
        self.answers(Ok(LoginProgress::Complete(Box::new(session))));
    }

    /// Holds every answer back until the gate is opened again.
    pub(super) fn close_gate(&self) {
        self.gate.send_replace(false);
    }

    pub(super) fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    pub(super) fn begins_with(&self, begin: Result<(), UpstreamError>) {
        *self.begin.lock().unwrap() = begin;
    }

    pub(super) fn times_asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// What IntelligenceBank knows of Ada.
pub(super) fn session() -> UpstreamSession {
    UpstreamSession {
        sid: Secret::new(SID),
        login_time: Some(NOW - 10),
        period_hours: Some(24),
        api_url: Some("https://apiv3.intelligencebank.com".to_owned()),
        ib_client_id: Some("AbC1".to_owned()),
        person: Person {
            uuid: "user-ada".to_owned(),
            given_name: Some("Ada".to_owned()),
            family_name: Some("Lovelace".to_owned()),
            email: None,
        },
    }
}

impl LoginUpstream for Scripted {
    fn begin<'a>(&'a self, host: &'a str) -> Answer<'a, BegunLogin> {
        Box::pin(async move {
            self.begin.lock().unwrap().clone()?;
            let number = self.begun.fetch_add(1, Ordering::SeqCst);
            let login = format!("l0g1nt0ken{number}");
            Ok(BegunLogin {
                url: Secret::new(format!("https://{host}/auth/?login=0&token={login}")),
                login: Secret::new(login),
            })
        })
    }

    fn end<'a>(&'a self, host: &'a str, sid: &'a Secret) -> Answer<'a, Ended> {
        Box::pin(async move {
            self.ended.lock().unwrap().push((host.to_owned(), sid.expose().to_owned()));
            self.end.lock().unwrap().clone()
        })
    }

    fn progress<'a>(&'a self, _: &'a str, _: &'a Secret) -> Answer<'a, LoginProgress> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            // Others get a turn, as they do while a network answers.
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            self.gate.subscribe().wait_for(|open| *open).await.unwrap();
            self.next.lock().unwrap().clone()
        })
    }
}
