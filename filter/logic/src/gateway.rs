//! One worker's state: the policy, what is known about tokens and sessions, who waits for what.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    time::Duration,
};

use crate::{
    AnswerSize, CalloutId, ConfigurationError, Counter, Gauge, HeaderMap, Host, StreamId,
    Timestamp,
    cache::DecisionCache,
    config,
    feed::Feed,
    flight::{Flights, Purpose},
    kept_body::BodyStore,
    policy::Policy,
    session::SessionTable,
    stream::{Answer, Places, Stream},
    tally::Tally,
};

/// How often the host should call [`Gateway::on_tick`].
pub const TICK: Duration = Duration::from_millis(250);

/// So many heads are kept for their memory.
const MOST_SPARE_HEADS: usize = 64;
/// The largest of them, in bytes.
const LARGEST_SPARE_HEAD: usize = 4 << 10;

/// Sessions that nothing uses any more are swept when there are so many names more than approvals.
const SLACK_OF_SESSIONS: usize = 256;

/// What all streams of one worker share. Workers share nothing: each asks for itself.
///
/// The phases of a stream are in `request`, `response` and `replay`; `asking` and `renewal` have the
/// callouts. No cell is borrowed across a call to the host that could come back here.
pub struct Gateway {
    pub(crate) policy: Policy,
    pub(crate) decisions: RefCell<DecisionCache>,
    pub(crate) sessions: RefCell<SessionTable>,
    pub(crate) flights: RefCell<Flights>,
    pub(crate) feed: Option<RefCell<Feed>>,
    streams: RefCell<Streams>,
    /// Streams that wait for the token service.
    pub(crate) waiting: Places,
    /// Streams whose rejected answer is held. They have places of their own: one dead session, however
    /// many requests use it, takes none from tokens that are not known yet.
    pub(crate) rejected: Places,
    /// Rejected requests that are being sent again.
    pub(crate) replaying: Places,
    /// Those that will be when one of them is back, each since when. Each has a place among the
    /// rejected.
    pub(crate) queue: RefCell<VecDeque<(StreamId, Timestamp)>>,
    /// A stream that ended while it was taken out of `streams`, in a call to the host.
    ended_meanwhile: Cell<Option<StreamId>>,
    pub(crate) bodies: BodyStore,
    /// Memory of heads of streams that have ended, for the next ones.
    spare_heads: RefCell<Vec<Vec<u8>>>,
    tally: Tally,
}

type Streams = HashMap<StreamId, Stream, BuildHasherDefault<StreamHasher>>;

impl Gateway {
    /// Builds a gateway from the plugin's configuration, JSON, at `now`.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`] names the field that is not acceptable, and why.
    pub fn from_configuration(json: &[u8], now: Timestamp) -> Result<Self, ConfigurationError> {
        Ok(Self::new(config::read(json)?, now))
    }

    pub(crate) fn new(policy: Policy, now: Timestamp) -> Self {
        Self {
            decisions: RefCell::new(DecisionCache::new(policy.cache)),
            sessions: RefCell::default(),
            flights: RefCell::default(),
            feed: policy.revocations.map(|settings| RefCell::new(Feed::new(settings, now))),
            streams: RefCell::default(),
            waiting: Places::new(policy.token_service.maximum_waiting),
            rejected: Places::new(policy.token_service.maximum_waiting),
            replaying: Places::new(policy.replay.maximum_in_progress),
            queue: RefCell::default(),
            ended_meanwhile: Cell::new(None),
            bodies: BodyStore::new(policy.replay.maximum_request_bytes),
            spare_heads: RefCell::default(),
            tally: Tally::default(),
            policy,
        }
    }

    /// Time has passed: the host calls this every [`TICK`], in no stream's name.
    pub fn on_tick<H: Host>(&self, host: &H) {
        self.poll_if_due(host);
        self.give_up_queued(host);
        let (granted, _) = self.decisions.borrow().counts();
        let mut sessions = self.sessions.borrow_mut();
        if sessions.len() > granted.saturating_add(SLACK_OF_SESSIONS) {
            sessions.sweep();
        }
        drop(sessions);
        self.measure();
        self.tally.report(host);
    }

    /// A callout has ended, with an answer or without. In no stream's name.
    pub fn on_callout_answer<H: Host>(&self, host: &H, callout: CalloutId, size: AnswerSize) {
        let Some(flight) = self.flights.borrow_mut().end(callout) else { return };
        match flight.purpose.clone() {
            Purpose::Introspection { token, asked_before } => {
                self.on_introspection(host, flight, &token, asked_before, size);
            }
            Purpose::Renewal { session, token, generation, cause } => {
                let asked = crate::renewal::Asked { session, token, generation, cause };
                self.on_renewal(host, flight, asked, size);
            }
            Purpose::Feed => self.on_feed_answer(host, size),
            Purpose::Replay => self.on_replay_answer(host, flight, size),
        }
    }

    /// A stream has ended, whichever way. Nothing is done in its name any more.
    pub fn on_stream_end(&self, stream: StreamId) {
        let ended = self.streams.borrow_mut().remove(&stream);
        if ended.is_none() {
            self.ended_meanwhile.set(Some(stream));
        }
        match ended {
            Some(Stream::Waiting(waiting)) => self.leave_flight(waiting.callout, stream),
            Some(Stream::Approved(approved)) => {
                if let Answer::Rejected(rejected) = &approved.answer
                    && let Some(callout) = rejected.callout
                {
                    self.leave_flight(callout, stream);
                }
                self.keep_memory(approved.head);
            }
            None => {}
        }
    }

    #[inline(never)]
    fn leave_flight(&self, callout: CalloutId, stream: StreamId) {
        self.flights.borrow_mut().leave(callout, stream);
    }

    /// Memory for the head of a request: of one that has ended, if there is any.
    pub(crate) fn memory_for_head(&self) -> Vec<u8> {
        self.spare_heads.borrow_mut().pop().unwrap_or_default()
    }

    fn keep_memory(&self, head: HeaderMap) {
        let mut spare = self.spare_heads.borrow_mut();
        let memory = head.into_block();
        if spare.len() < MOST_SPARE_HEADS && memory.capacity() <= LARGEST_SPARE_HEAD {
            spare.push(memory);
        }
    }

    /// Reports what has been counted, without waiting for the next tick.
    pub fn report<H: Host>(&self, host: &H) {
        self.measure();
        self.tally.report(host);
    }

    pub(crate) fn count(&self, counter: Counter) {
        self.tally.count(counter, 1);
    }

    pub(crate) fn count_many(&self, counter: Counter, by: u64) {
        self.tally.count(counter, by);
    }

    /// Keeps the state of a stream, unless the stream has ended meanwhile.
    pub(crate) fn put_stream(&self, id: StreamId, stream: Stream) {
        if self.ended_meanwhile.get() == Some(id) {
            return;
        }
        self.streams.borrow_mut().insert(id, stream);
    }

    /// Looks at the state of a stream where it is. `look` must call nothing that could come back here.
    pub(crate) fn at_stream<T>(
        &self,
        id: StreamId,
        look: impl FnOnce(&mut Stream) -> T,
    ) -> Option<T> {
        self.streams.borrow_mut().get_mut(&id).map(look)
    }

    pub(crate) fn take_stream(&self, id: StreamId) -> Option<Stream> {
        self.ended_meanwhile.set(None);
        self.streams.borrow_mut().remove(&id)
    }

    /// A stream begins: what had its number before has ended.
    pub(crate) fn stream_begins(&self) {
        self.ended_meanwhile.set(None);
    }

    /// Whether another introspection or renewal may begin.
    pub(crate) fn may_call_out(&self) -> bool {
        let most = usize::try_from(self.policy.token_service.maximum_callouts);
        self.flights.borrow().questions() < most.unwrap_or(usize::MAX)
    }

    fn measure(&self) {
        let (granted, refused) = self.decisions.borrow().counts();
        let is_current = self.feed.as_ref().is_some_and(|feed| feed.borrow().is_current());
        let waiting = self.waiting.taken().saturating_add(self.rejected.taken());
        self.tally.measure(Gauge::CachedGrants, granted);
        self.tally.measure(Gauge::CachedRefusals, refused);
        self.tally.measure(Gauge::Sessions, self.sessions.borrow().len());
        self.tally.measure(Gauge::WaitingStreams, usize::try_from(waiting).unwrap_or(usize::MAX));
        self.tally.measure(Gauge::Callouts, self.flights.borrow().len());
        self.tally.measure(Gauge::CurrentFeeds, usize::from(is_current));
    }
}

/// Streams have numbers that the host gives out one after the other: they need no mixing that strangers
/// cannot foresee.
#[derive(Default)]
struct StreamHasher(u64);

impl Hasher for StreamHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u32(&mut self, number: u32) {
        // Both halves of the product are used: the map takes its bits from either end.
        self.0 = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
