//! `GET /revocations?after=N&wait=S`: what has ended since event N.
//!
//! The gateway keeps one such request under way. The service answers as soon as there is an event
//! after N, and after S seconds at the latest. Events have one order over all instances of the
//! service; an introspection says by `as_of` which of them it knew of.

use serde::{Deserialize, Serialize};

use crate::{Secret, TagKeyText};

/// The longest time that the service lets a poll wait, in seconds.
pub const LONGEST_WAIT_SECONDS: u64 = 30;
/// The most events that one answer holds. There may be more: the next poll has them.
pub const MOST_EVENTS: usize = 1_000;

/// The service's answer to a poll.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    /// The number of the last event that the gateway knows after this answer: where to go on.
    pub as_of: u64,
    /// Events after the number that was asked with, in the order of their numbers. Without `after`
    /// in the request there are none: a gateway that knows nothing has nothing to forget.
    #[serde(default)]
    pub events: Vec<RevocationEvent>,
    /// The service cannot say what happened since the number that was asked with (it is older than
    /// what is kept, or from another store): the gateway forgets everything and goes on from `as_of`.
    #[serde(default)]
    pub reset: bool,
    /// The keys whose tags the service's access tokens may have, all of them each time. Empty: the
    /// service issues tokens without tags that this contract knows.
    #[serde(default)]
    pub tag_keys: Vec<TagKeyText>,
}

/// One event: something ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct RevocationEvent {
    /// Its place in the order of all events. Numbers only grow; where they begin and which they leave out
    /// is the store's choice.
    pub number: u64,
    /// What ended.
    pub revoked: Revoked,
}

/// What ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// A session, with every token that uses it.
    Session(String),
    /// One access token, by [`token_sha256`](crate::token_sha256).
    TokenSha256(String),
    /// Every token of a subject.
    Subject(String),
    /// Every token of a client.
    Client(String),
    /// Something that this version does not know. To be safe: everything.
    Unknown,
}

/// The JSON object: one of the names is there.
#[derive(Default, Serialize, Deserialize)]
struct Wire {
    number: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

impl From<Wire> for RevocationEvent {
    fn from(wire: Wire) -> Self {
        let Wire { number, session, token_sha256, sub, client_id } = wire;
        let revoked = match (session, token_sha256, sub, client_id) {
            (Some(session), None, None, None) => Revoked::Session(session),
            (None, Some(hash), None, None) => Revoked::TokenSha256(hash),
            (None, None, Some(sub), None) => Revoked::Subject(sub),
            (None, None, None, Some(client)) => Revoked::Client(client),
            _ => Revoked::Unknown,
        };
        Self { number, revoked }
    }
}

impl From<RevocationEvent> for Wire {
    fn from(event: RevocationEvent) -> Self {
        let wire = Self { number: event.number, ..Self::default() };
        match event.revoked {
            Revoked::Session(session) => Self { session: Some(session), ..wire },
            Revoked::TokenSha256(hash) => Self { token_sha256: Some(hash), ..wire },
            Revoked::Subject(sub) => Self { sub: Some(sub), ..wire },
            Revoked::Client(client_id) => Self { client_id: Some(client_id), ..wire },
            Revoked::Unknown => wire,
        }
    }
}

impl Revocations {
    /// Reads an answer from JSON bytes.
    ///
    /// # Errors
    ///
    /// [`MalformedRevocations`] when the bytes are not an answer of this contract. The error never
    /// quotes the bytes, which hold keys.
    pub fn from_json(bytes: &[u8]) -> Result<Self, MalformedRevocations> {
        serde_json::from_slice(bytes)
            .map_err(|error| MalformedRevocations { line: error.line(), column: error.column() })
    }
}

/// The answer is not one of this contract. The cause is the service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer does not fit the contract at line {line}, column {column}")]
pub struct MalformedRevocations {
    /// Line of the answer, from one.
    pub line: usize,
    /// Column of the answer, from one.
    pub column: usize,
}

impl TagKeyText {
    /// A key as the service hands it over.
    pub fn new(id: impl Into<String>, key: Secret) -> Self {
        Self { id: id.into(), key }
    }
}

#[cfg(test)]
mod tests {
    use super::{RevocationEvent, Revocations, Revoked};

    #[test]
    fn an_answer_of_the_service_is_read_back_by_the_gateway() {
        let events = [
            Revoked::Session("s".to_owned()),
            Revoked::TokenSha256("h".to_owned()),
            Revoked::Subject("u".to_owned()),
            Revoked::Client("c".to_owned()),
        ];
        let events = events.into_iter().zip(8..);
        let events = events.map(|(revoked, number)| RevocationEvent { number, revoked }).collect();
        let answer = Revocations { as_of: 11, events, ..Revocations::default() };
        let json = serde_json::to_vec(&answer).unwrap();
        assert_eq!(Revocations::from_json(&json).unwrap(), answer);
    }

    #[test]
    fn an_event_of_a_newer_service_is_not_passed_over() {
        for json in [
            r#"{"as_of":1,"events":[{"number":1,"tenant":"t"}],"more":true}"#,
            r#"{"as_of":1,"events":[{"number":1,"session":"a","sub":"b"}]}"#,
        ] {
            let answer = Revocations::from_json(json.as_bytes()).unwrap();
            assert_eq!(answer.events[0].revoked, Revoked::Unknown);
        }
    }

    #[test]
    fn an_older_service_says_less_and_is_understood() {
        let answer = Revocations::from_json(br#"{"as_of":5}"#).unwrap();
        assert_eq!(answer, Revocations { as_of: 5, ..Revocations::default() });
    }

    #[test]
    fn what_is_no_answer_is_an_error_that_shows_none_of_it() {
        let error = Revocations::from_json(br#"{"as_of":5,"tag_keys":"hunter2"}"#).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
