//! The revocation feed as one worker has it: how far it is, how well it can be trusted, and what it
//! has said lately.
//!
//! Decisions that are cached are vouched for by the feed: while it answers, whatever ended is
//! forgotten here within moments. When it falls silent, an approval may be used for `max_stale` after
//! the feed's last answer or after its own introspection, whichever is later, and no longer.

use std::collections::VecDeque;

use ib_contract::{
    AccessTokenShape, ActiveToken, RevocationEvent, Revoked, TagKey, TagKeyText, token_sha256,
};

use crate::{Timestamp, policy::RevocationFeed};

/// Events that are kept for answers that are under way. An answer that is older than all of them is
/// asked for again.
const MOST_RECENT_EVENTS: usize = 4_096;
/// Tag keys that are taken over.
const MOST_TAG_KEYS: usize = 16;
/// How long after a failed poll the next one begins, in milliseconds.
const RETRY_MILLISECONDS: u64 = 500;

/// One worker's end of the feed.
pub(crate) struct Feed {
    settings: RevocationFeed,
    /// The last event that is known. `None`: the feed has not answered yet.
    position: Option<u64>,
    is_polling: bool,
    poll_began_at: Timestamp,
    next_poll_at: Timestamp,
    answered_at: Timestamp,
    has_failed: bool,
    /// Events in their order, the newest last.
    recent: VecDeque<RevocationEvent>,
    /// Events up to this number are not among the recent ones.
    forgotten: u64,
    tag_keys: Vec<TagKey>,
}

/// What an answer of the feed asks for.
pub(crate) enum News {
    /// Apply these.
    Events(Vec<Revoked>),
    /// Forget everything.
    Reset,
}

impl Feed {
    pub(crate) fn new(settings: RevocationFeed, now: Timestamp) -> Self {
        Self {
            settings,
            position: None,
            is_polling: false,
            poll_began_at: now,
            next_poll_at: now,
            answered_at: now,
            has_failed: false,
            recent: VecDeque::new(),
            forgotten: 0,
            tag_keys: Vec::new(),
        }
    }

    /// Whether a poll should begin now.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        !self.is_polling && now >= self.next_poll_at
    }

    /// The query of the next poll.
    pub(crate) fn query(&self) -> String {
        match self.position {
            None => String::new(),
            Some(position) => format!("?after={position}&wait={}", self.wait_seconds()),
        }
    }

    /// How long the service may let a poll wait, in seconds: so short that the answers alone keep the
    /// feed trusted.
    pub(crate) fn wait_seconds(&self) -> u64 {
        let stale_seconds = self.settings.maximum_stale_milliseconds / 1000;
        self.settings.wait_seconds.min(stale_seconds / 3).max(1)
    }

    pub(crate) fn poll_began(&mut self, now: Timestamp) {
        self.is_polling = true;
        self.poll_began_at = now;
    }

    /// A poll could not be sent, or had no usable answer.
    pub(crate) fn poll_failed(&mut self, now: Timestamp) {
        self.is_polling = false;
        self.has_failed = true;
        self.next_poll_at = now.plus_milliseconds(RETRY_MILLISECONDS);
    }

    /// Takes an answer in.
    pub(crate) fn take_in(&mut self, answer: ib_contract::Revocations, now: Timestamp) -> News {
        let position = self.position;
        self.is_polling = false;
        self.has_failed = false;
        // A service that does not let polls wait, or says the same again, is not asked all the time.
        let is_new = |event: &RevocationEvent| position.is_none_or(|known| event.number > known);
        let is_hasty = !answer.events.iter().any(is_new)
            && position.is_some()
            && now.milliseconds_since(self.poll_began_at) < RETRY_MILLISECONDS;
        self.next_poll_at = if is_hasty { now.plus_milliseconds(RETRY_MILLISECONDS) } else { now };
        self.answered_at = now;
        self.position = Some(answer.as_of);
        self.take_tag_keys(&answer.tag_keys);
        // The very first answer says where the feed is; what was learnt before may be older.
        let Some(position) = position.filter(|position| !answer.reset && *position <= answer.as_of)
        else {
            self.recent.clear();
            self.forgotten = answer.as_of;
            return News::Reset;
        };
        let events = answer.events.into_iter().filter(|event| event.number > position);
        let events: Vec<RevocationEvent> = events.collect();
        let news = events.iter().map(|event| event.revoked.clone()).collect();
        self.recent.extend(events);
        while self.recent.len() > MOST_RECENT_EVENTS {
            let oldest = self.recent.pop_front();
            self.forgotten = oldest.map_or(self.forgotten, |event| event.number);
        }
        News::Events(news)
    }

    /// Whether an answer about a token has been overtaken: an event after the one that it was true at
    /// concerns it, or nobody can say any more.
    pub(crate) fn has_overtaken(&self, token: &str, answer: &ActiveToken) -> bool {
        let concerns = |revoked: &Revoked| match revoked {
            Revoked::Session(session) => {
                answer.upstreams.iter().any(|upstream| upstream.session == *session)
            }
            Revoked::TokenSha256(hash) => token_sha256(token) == *hash,
            Revoked::Subject(subject) => answer.sub == *subject,
            Revoked::Client(client) => answer.client_id == *client,
            Revoked::Unknown => true,
        };
        let newest_first = self.recent.iter().rev();
        answer.as_of < self.forgotten
            || newest_first
                .take_while(|event| event.number > answer.as_of)
                .any(|event| concerns(&event.revoked))
    }

    /// Whether an approval of `kept_at` may be used.
    pub(crate) fn vouches_for(&self, kept_at: Timestamp, now: Timestamp) -> bool {
        let known_at = self.answered_at.max(kept_at);
        now < known_at.plus_milliseconds(self.settings.maximum_stale_milliseconds)
    }

    /// Whether the feed is answering: it has, and its last poll did not fail.
    pub(crate) fn is_current(&self) -> bool {
        self.position.is_some() && !self.has_failed
    }

    /// Whether a text that has a token's shape can be a token of the service.
    ///
    /// Without any key nobody can say, so it can. A key that is not known can be one that the service
    /// has begun to use while the feed was silent; while the feed answers, there is no such key.
    pub(crate) fn could_be_issued(&self, token: &AccessTokenShape<'_>) -> bool {
        let mut named = self.tag_keys.iter().filter(|key| key.id() == token.key_id()).peekable();
        if named.peek().is_none() {
            return self.tag_keys.is_empty() || !self.is_current();
        }
        named.any(|key| key.accepts(token))
    }

    /// Keeps the known keys where an answer has none that can be used: it is of a service that hands
    /// out none.
    fn take_tag_keys(&mut self, texts: &[TagKeyText]) {
        let keys = texts.iter().take(MOST_TAG_KEYS).flat_map(TagKey::from_text);
        let keys: Vec<TagKey> = keys.collect();
        if !keys.is_empty() {
            self.tag_keys = keys;
        }
    }
}

#[cfg(test)]
mod tests;
