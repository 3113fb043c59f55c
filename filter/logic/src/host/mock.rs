//! A proxy in memory, for tests: many streams on one gateway, a clock, and a token service and upstreams
//! that answer when a test says so.
//!
//! [`World`] drives the streams and tells what each side got to see; `rules` fails the test where the
//! logic calls its host outside a phase, or twice where once is allowed.

mod rules;
mod seen;
mod stream;
mod world;

use ib_contract::{Introspection, TagKey, TagKeyText};
use serde_json::{Value, json};

pub(crate) use stream::ClientAnswer;
pub(crate) use world::{SentCallout, World};

use crate::{HeaderMap, Timestamp, grant::Grant, policy::Policy, session::SessionTable, to_block};

/// The session id that answers of the token service have in most tests.
pub(crate) const SID: &str = "0123456789abcdef0123456789abcdef";
/// A path of a request for the session's host, with a query.
pub(crate) const PATH: &str = "/proxy/company.intelligencebank.com/api/3.0.0/x?y";

/// The configuration that tests start from.
pub(crate) fn configuration() -> Value {
    json!({
        "prefixes": ["/proxy/"],
        "allowed_hosts": ["*.intelligencebank.com", "remax-cca.com"],
        "resource_metadata": "https://gateway.example/.well-known/oauth-protected-resource/proxy",
        "resource": "https://gateway.example/proxy/",
        "token_service": {"cluster": "token_service", "authority": "token-service.internal"},
    })
}

/// The policy of [`configuration`] with some of its fields replaced.
pub(crate) fn policy_with(fields: Value) -> Policy {
    let mut configuration = configuration();
    for (name, value) in fields.as_object().unwrap() {
        configuration[name] = value.clone();
    }
    crate::config::read(configuration.to_string().as_bytes()).unwrap()
}

/// An active answer for `company.intelligencebank.com` whose session id is `sid`.
pub(crate) fn active_answer(sid: &str) -> Value {
    json!({
        "active": true, "version": 1, "as_of": 1, "client_id": "test-client", "scope": "profile",
        "sub": "user-1", "aud": "https://gateway.example/proxy/", "iss": "https://gateway.example",
        "exp": 1, "iat": 1, "expires_in": 3600,
        "upstreams": [{
            "session": "s1", "hosts": ["company.intelligencebank.com", "apiv3.intelligencebank.com"],
            "headers": {"sid": sid}, "generation": 1, "refresh_in": 3000, "expires_in": 3300,
        }],
    })
}

/// The active answer of [`SID`] with some of its fields replaced; a key that begins with `upstream.` is
/// one of the session.
pub(crate) fn active_with(fields: Value) -> Value {
    let mut answer = active_answer(SID);
    for (name, value) in fields.as_object().unwrap() {
        match name.strip_prefix("upstream.") {
            Some(name) => answer["upstreams"][0][name] = value.clone(),
            None => answer[name] = value.clone(),
        }
    }
    answer
}

/// The active answer after renewals: a session id of its own for each generation.
pub(crate) fn generation(number: u64) -> Value {
    active_with(json!({"upstream.generation": number, "upstream.headers": {"sid": sid_of(number)}}))
}

/// The session id of a generation.
pub(crate) fn sid_of(generation: u64) -> String {
    if generation == 1 { SID.to_owned() } else { format!("{generation:0>4}fedcba9876543210fedc") }
}

/// The grant that an answer gives, among these sessions.
pub(crate) fn grant_of(token: &str, answer: &Value, sessions: &mut SessionTable) -> Grant {
    let answer = Introspection::from_json(answer.to_string().as_bytes()).unwrap();
    let Introspection::Active(answer) = answer else { panic!("active") };
    Grant::from_answer(token, &answer, sessions, Timestamp::from_milliseconds(0)).unwrap()
}

/// A header map from pairs.
pub(crate) fn map(pairs: &[(&str, &[u8])]) -> HeaderMap {
    let pairs: Vec<(&[u8], &[u8])> =
        pairs.iter().map(|(name, value)| (name.as_bytes(), *value)).collect();
    HeaderMap::from_block(to_block(&pairs)).unwrap()
}

/// A header map with more headers at its end.
pub(crate) fn extended(headers: &HeaderMap, extra: &[(&str, &[u8])]) -> HeaderMap {
    let mut pairs: Vec<(&[u8], &[u8])> = headers.iter().collect();
    pairs.extend(extra.iter().map(|(name, value)| (name.as_bytes(), *value)));
    HeaderMap::from_block(to_block(&pairs)).unwrap()
}

/// A header map with one value replaced, or with the header added.
pub(crate) fn replaced(headers: &HeaderMap, name: &str, value: &[u8]) -> HeaderMap {
    let others = headers.iter().filter(|(other, _)| *other != name.as_bytes());
    let mut pairs: Vec<(&[u8], &[u8])> = others.collect();
    pairs.push((name.as_bytes(), value));
    HeaderMap::from_block(to_block(&pairs)).unwrap()
}

/// A header map as text, for comparisons.
pub(crate) fn text(headers: &HeaderMap) -> Vec<(String, String)> {
    let lossy = |bytes| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| (lossy(name), lossy(value))).collect()
}

/// The values of a header.
pub(crate) fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    text(headers).into_iter().filter(|(other, _)| other == name).map(|(_, value)| value).collect()
}

/// A key for tags, and its text as the feed hands it over.
pub(crate) fn tag_key(id: &str, byte: u8) -> (TagKey, TagKeyText) {
    // 32 bytes of value 4 * n in base64url are the same four characters over and over, near enough:
    // the text is made from the key's own alphabet by hand, since only the contract has an encoder.
    let text = encoded(&[byte; 32]);
    let text = TagKeyText::new(id, ib_contract::Secret::new(text));
    (TagKey::from_text(&text).unwrap(), text)
}

fn encoded(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let bits: Vec<u8> = bits.collect();
    let characters = bits.chunks(6).map(|bits| {
        let padded = bits.iter().chain(std::iter::repeat(&0)).take(6);
        char::from(ALPHABET[usize::from(padded.fold(0_u8, |sum, bit| sum << 1 | bit))])
    });
    characters.collect()
}

/// An access token of the key `k1`, told from others by `name`.
pub(crate) fn token_named(name: &str) -> String {
    token_of(&tag_key("k1", 1).0, name)
}

/// An access token of a key, told from others by `name`.
pub(crate) fn token_of(key: &TagKey, name: &str) -> String {
    let mut random = [b'-'; 32];
    random[..name.len()].copy_from_slice(name.as_bytes());
    key.issue(&random)
}

/// A GET request for a path with the token of a name.
pub(crate) fn get_request(path: &str, name: &str) -> HeaderMap {
    request("GET", path, &token_named(name))
}

/// A request with this method, path and token.
pub(crate) fn request(method: &str, path: &str, token: &str) -> HeaderMap {
    map(&[
        (":method", method.as_bytes()),
        (":scheme", b"http"),
        (":authority", b"gateway.example"),
        (":path", path.as_bytes()),
        ("authorization", format!("Bearer {token}").as_bytes()),
    ])
}
