//! `private_key_jwt`: a client proves who it is by a token that it has signed (RFC 7523 sections 2.2
//! and 3, OpenID Connect Core section 9).

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Client, ClientKind, Clients, keys::Signed};
use crate::{
    audit,
    error::Error,
    metrics::Replayed,
    records::Record,
    store::{Applied, Table},
};

/// The value that `client_assertion_type` must have (RFC 7523 section 2.2).
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longest assertion that is read.
const LONGEST_ASSERTION: usize = 8 * 1024;
/// How far ahead its end may be, in seconds: for as long its `jti` is remembered.
const LONGEST_LIFE: u64 = 600;
/// How much the clocks of a client and of the instances of this service may differ, in seconds.
const LEEWAY: u64 = 30;
/// Longest `jti`.
const LONGEST_ID: usize = 256;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    jti: String,
}

/// One value or several (RFC 7519 section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// An assertion that has been used, until it is too old to be used again. Its name says everything.
#[derive(Debug, Serialize, Deserialize)]
struct UsedAssertion {}

impl Record for UsedAssertion {
    const TABLE: Table = Table::ClientAssertion;
}

impl Clients {
    /// The client that signed `assertion`, which must be the `named` one where one is named. Each
    /// assertion proves this once, over all instances of the service.
    pub(crate) async fn by_assertion(
        &self,
        assertion: &str,
        named: Option<&str>,
    ) -> Result<Arc<Client>, Error> {
        if assertion.len() > LONGEST_ASSERTION {
            return Err(Error::InvalidClient("The client assertion is too long"));
        }
        let malformed = || Error::InvalidClient("The client assertion is malformed");
        let token = Signed::parse(assertion).ok_or_else(malformed)?;
        let claims: Claims = serde_json::from_slice(&token.payload).map_err(|_| malformed())?;
        if claims.iss != claims.sub || named.is_some_and(|named| named != claims.sub) {
            return Err(Error::InvalidClient("The client assertion names another client"));
        }
        // Until here nothing is proved: the name says whose keys to try.
        let unknown = Error::InvalidClient("The client is not known, or did not prove who it is");
        let client = self.find(&claims.sub).await?.ok_or(unknown.clone())?;
        audit::claimed_client(&client.id);
        let ClientKind::Keys(keys) = &client.kind else { return Err(unknown) };
        if !keys.verify(&token) {
            return Err(Error::InvalidClient("The signature of the client assertion is not good"));
        }
        let now = self.clock.unix_seconds();
        self.check(&claims, now)?;
        let expires_at = seconds(claims.exp).ok_or_else(malformed)?;
        let mut name = Sha256::new();
        for part in [claims.sub.as_bytes(), &[0], claims.jti.as_bytes()] {
            name.update(part);
        }
        let id = URL_SAFE_NO_PAD.encode(name.finalize());
        // The clock of another instance may be behind: for it the assertion is good a while longer.
        let kept_until = expires_at.saturating_add(LEEWAY);
        let changes = self.records.changes().insert(&id, &UsedAssertion {}, kept_until);
        match changes.apply(now).await? {
            Applied::Yes => Ok(client),
            Applied::Conflict => {
                self.records.metrics().replay(Replayed::ClientAssertion);
                tracing::warn!(client = client.id, "a client assertion was used again");
                Err(Error::InvalidClient("The client assertion was used before"))
            }
        }
    }

    /// Checks what was signed at `now` (Unix seconds).
    fn check(&self, claims: &Claims, now: u64) -> Result<(), Error> {
        let refused = |description| Err(Error::InvalidClient(description));
        // What is meant for others as well could be used here by those others.
        let ours = |audience: &String| {
            let issuer = self.settings.issuer.url.as_str();
            audience == issuer || audience.strip_prefix(issuer) == Some("/token")
        };
        let is_for_us = match &claims.aud {
            Audience::One(audience) => ours(audience),
            Audience::Several(audiences) => !audiences.is_empty() && audiences.iter().all(ours),
        };
        if !is_for_us {
            return refused("The aud of the client assertion must be the issuer or its /token");
        }
        let Some(expires_at) = seconds(claims.exp) else {
            return refused("The exp of the client assertion is malformed");
        };
        if expires_at <= now {
            return refused("The client assertion has expired");
        }
        if expires_at > now.saturating_add(LONGEST_LIFE) {
            return refused("The exp of the client assertion is more than 10 minutes ahead");
        }
        let too_early = |time: Option<f64>| {
            time.is_some_and(|time| {
                seconds(time).is_none_or(|time| time > now.saturating_add(LEEWAY))
            })
        };
        if too_early(claims.nbf) || too_early(claims.iat) {
            return refused("The client assertion is not good yet");
        }
        if !(1..=LONGEST_ID).contains(&claims.jti.len()) {
            return refused("The jti of the client assertion is empty or too long");
        }
        Ok(())
    }
}

/// A NumericDate (RFC 7519 section 2) in whole seconds, rounded down.
fn seconds(date: f64) -> Option<u64> {
    // Within these bounds the cast loses nothing but the fraction.
    (0.0..=1e15).contains(&date).then_some(date as u64)
}
