//! One HTTP stream between its phases.

use std::rc::Rc;

use crate::{Counter, Gateway, Host, gateway::WaitingPlace, refusal::Refusal, session::Session};

/// One HTTP stream: what is known about it between two calls of the host.
///
/// The phases are in `request` and `response`.
pub struct Stream {
    pub(crate) gateway: Rc<Gateway>,
    pub(crate) state: State,
}

/// How far a stream is.
pub(crate) enum State {
    /// Nothing was decided, or the stream is none of the gateway's business.
    Open,
    /// Paused until the token service answers.
    Waiting(Waiting),
    /// On its way upstream.
    Approved(Approved),
    /// Answered by the gateway or by the proxy: nothing more may be done to it.
    Over,
}

/// What a waiting stream keeps. The headers stay with the host: they are read again.
pub(crate) struct Waiting {
    pub(crate) token: Box<str>,
    pub(crate) _place: WaitingPlace,
}

/// What the response phase needs to know of the request.
pub(crate) struct Approved {
    pub(crate) session: Rc<Session>,
    /// The client's own `:path`, prefix included.
    pub(crate) path: Vec<u8>,
}

/// What the host does with the stream after a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// It goes on.
    Continue,
    /// It stops here: until it is resumed, or because it was answered.
    Pause,
}

impl Stream {
    /// A stream of which nothing is known yet.
    #[must_use]
    pub fn new(gateway: Rc<Gateway>) -> Self {
        Self { gateway, state: State::Open }
    }

    /// Answers the client, once, and ends the stream.
    ///
    /// Where the host takes no answer the stream stays paused, which is closed too: the proxy's
    /// timeouts end it.
    pub(crate) fn refuse<H: Host>(&mut self, host: &H, refusal: &Refusal) -> Flow {
        self.state = State::Over;
        let reply = refusal.reply(&self.gateway.policy);
        if host.reply(&reply).is_ok() {
            host.count(refusal.counter());
        }
        Flow::Pause
    }

    /// Notes that the stream goes upstream with `session`.
    pub(crate) fn approve<H: Host>(&mut self, host: &H, session: Rc<Session>, path: Vec<u8>) {
        self.state = State::Approved(Approved { session, path });
        host.count(Counter::RequestApproved);
    }
}
