//! A token endpoint that does what a test says.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use ib_contract::Secret;

use crate::{
    settings::MachineCredential,
    upstreams::{Acquired, Answer, TokenUpstream, UpstreamError},
};

/// It gives `upstr3amt0ken-<name>-<n>` with the n-th answer, unless it is told otherwise.
pub(crate) struct ScriptedTokens {
    fails_with: Mutex<Option<Result<Acquired, UpstreamError>>>,
    expires_in: Mutex<u64>,
    asked: AtomicUsize,
    /// While it is closed nobody gets an answer.
    gate: tokio::sync::watch::Sender<bool>,
}

impl Default for ScriptedTokens {
    fn default() -> Self {
        Self {
            fails_with: Mutex::default(),
            expires_in: Mutex::new(86_399),
            asked: AtomicUsize::new(0),
            gate: tokio::sync::watch::Sender::new(true),
        }
    }
}

impl ScriptedTokens {
    pub(super) fn fails_with(&self, failure: Result<Acquired, UpstreamError>) {
        *self.fails_with.lock().unwrap() = Some(failure);
    }

    pub(super) fn is_down(&self) {
        self.fails_with(Err(UpstreamError::Unreachable("no connection")));
    }

    pub(super) fn is_up(&self) {
        *self.fails_with.lock().unwrap() = None;
    }

    pub(super) fn gives_tokens_for(&self, seconds: u64) {
        *self.expires_in.lock().unwrap() = seconds;
    }

    pub(super) fn close_gate(&self) {
        self.gate.send_replace(false);
    }

    pub(super) fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    pub(super) fn times_asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl TokenUpstream for ScriptedTokens {
    fn acquire<'a>(&'a self, credential: &'a MachineCredential) -> Answer<'a, Acquired> {
        Box::pin(async move {
            let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            // Others get a turn, as they do while a network answers.
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            self.gate.subscribe().wait_for(|open| *open).await.unwrap();
            if let Some(failure) = self.fails_with.lock().unwrap().clone() {
                return failure;
            }
            let token = Secret::new(format!("upstr3amt0ken-{}-{number}", credential.name));
            Ok(Acquired::Token { token, expires_in: *self.expires_in.lock().unwrap() })
        })
    }
}
