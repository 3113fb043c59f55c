//! What a good token grants: whom it speaks for, its scope, and its sessions.

use std::rc::Rc;

use ib_contract::{ActiveToken, token_sha256};

use crate::{
    Timestamp,
    credentials::MalformedGrant,
    session::{Session, SessionTable},
};

/// Sessions that one token may have.
const MOST_SESSIONS: usize = 16;
/// The longest text of an answer that is kept, in bytes: a scope, a subject or a client.
const LONGEST_TEXT: usize = 4096;
/// Characters of a person's hash.
const HASH_CHARACTERS: usize = 16;
/// The longest client id that is its own key, in bytes as it is written. A longer one is hashed.
const LONGEST_CLIENT_KEY: usize = 256;

/// What a token grants.
pub(crate) struct Grant {
    /// The token's name in the revocation feed.
    token_sha256: Box<str>,
    client_id: Box<str>,
    subject: Box<str>,
    scope: Box<str>,
    sessions: Vec<Rc<Session>>,
    note: Box<[u8]>,
    client_key: Box<[u8]>,
    user_key: Box<[u8]>,
}

impl Grant {
    /// Checks an answer about `token` that came in at `now`, and brings the sessions up to date.
    pub(crate) fn from_answer(
        token: &str,
        answer: &ActiveToken,
        sessions: &mut SessionTable,
        now: Timestamp,
    ) -> Result<Self, MalformedGrant> {
        let texts = [&answer.client_id, &answer.sub, &answer.scope];
        if answer.upstreams.len() > MOST_SESSIONS
            || texts.iter().any(|text| text.len() > LONGEST_TEXT)
        {
            return Err(MalformedGrant::TooMany);
        }
        let are_disjoint = answer.upstreams.iter().enumerate().all(|(position, upstream)| {
            let others = answer.upstreams.iter().skip(position.saturating_add(1));
            others.flat_map(|other| &other.hosts).all(|host| !upstream.hosts.contains(host))
        });
        if !are_disjoint {
            return Err(MalformedGrant::OverlappingHosts);
        }
        let upstreams = answer.upstreams.iter();
        let (client_key, user_key) = (client_key(&answer.client_id), user_key(answer));
        Ok(Self {
            token_sha256: token_sha256(token).into(),
            client_id: answer.client_id.as_str().into(),
            subject: answer.sub.as_str().into(),
            scope: answer.scope.as_str().into(),
            sessions: upstreams
                .map(|upstream| sessions.take_in(upstream, now))
                .collect::<Result<_, _>>()?,
            note: note(&answer.client_id, &answer.sub),
            client_key,
            user_key,
        })
    }

    /// The session for a host in lower case.
    pub(crate) fn session_for(&self, host: &str) -> Option<&Rc<Session>> {
        self.session_named(host.as_bytes())
    }

    /// The session for a host that is written as its session names it. `None` says nothing about one that
    /// is written otherwise.
    pub(crate) fn session_named(&self, host: &[u8]) -> Option<&Rc<Session>> {
        self.sessions.iter().find(|session| session.covers(host))
    }

    /// The token's name in the revocation feed.
    pub(crate) fn token_sha256(&self) -> &str {
        &self.token_sha256
    }

    /// Whom the token was issued to.
    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whom the token speaks for.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// The granted scope, space separated.
    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// What the proxy is told about a stream that this grant approves.
    pub(crate) fn note(&self) -> &[u8] {
        &self.note
    }

    /// What the proxy counts the client's requests by: the client's id, in one word.
    pub(crate) fn client_key(&self) -> &[u8] {
        &self.client_key
    }

    /// What the proxy counts the user's requests by, over all of the user's tokens: a hash, since that is
    /// a person.
    pub(crate) fn user_key(&self) -> &[u8] {
        &self.user_key
    }

    /// An estimate of the memory that the grant takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let texts = [&self.token_sha256, &self.client_id, &self.subject, &self.scope];
        let keys = [&self.note, &self.client_key, &self.user_key];
        let keys = keys.iter().fold(0_usize, |sum, key| sum.saturating_add(key.len()));
        let texts = texts.iter().fold(keys, |sum, text| sum.saturating_add(text.len()));
        let sessions = self.sessions.iter().map(|session| session.size());
        sessions.fold(texts.saturating_add(512), usize::saturating_add)
    }
}

/// `approved client=<id> subject=<hash>`. The subject is a person, so only a hash of it is shown.
fn note(client_id: &str, subject: &str) -> Box<[u8]> {
    let (client, subject) = (one_word(client_id), short_hash(subject));
    [b"approved client=", client.as_slice(), b" subject=", &subject].concat().into()
}

fn client_key(client_id: &str) -> Box<[u8]> {
    let key = one_word(client_id);
    if key.len() <= LONGEST_CLIENT_KEY {
        key.into()
    } else {
        token_sha256(client_id).into_bytes().into()
    }
}

/// A subject is unique among the users of one customer alone, so the customer's platform is part of it: the
/// first of the hosts.
fn user_key(answer: &ActiveToken) -> Box<[u8]> {
    let platform = answer.upstreams.first().and_then(|upstream| upstream.hosts.first());
    let platform = platform.map_or("", String::as_str);
    short_hash(&[platform, &answer.sub].join(" "))
}

fn short_hash(text: &str) -> Box<[u8]> {
    token_sha256(text).bytes().take(HASH_CHARACTERS).collect()
}

/// A client's id, percent-encoded where it would be taken for more than one word, or for no value of a
/// header.
fn one_word(client_id: &str) -> Vec<u8> {
    let mut word = Vec::with_capacity(client_id.len());
    for byte in client_id.bytes() {
        if byte.is_ascii_graphic() && !b"%=\"\\".contains(&byte) {
            word.push(byte);
        } else {
            word.extend(format!("%{byte:02X}").bytes());
        }
    }
    word
}

#[cfg(test)]
mod tests;
