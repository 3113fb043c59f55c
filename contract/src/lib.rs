//! What the gateway filter and the OAuth service say to each other.
//!
//! Both sides compile these types, so that the contract has one source. Unknown fields are ignored
//! here on purpose: either side works with the other's next and previous version. (In *configuration*
//! unknown fields are refused; that is the business of whoever reads it.)
//!
//! Every duration is in whole seconds *from the moment of the answer*, so that the two clocks need
//! not agree.
#![forbid(unsafe_code)]

mod access_token;
mod introspection;
mod renewal;
mod revocations;
mod secret;

pub use access_token::{
    ACCESS_TOKEN_PREFIX, AccessTokenShape, LONGEST_TAG_KEY_ID, TAG_KEY_BYTES, TagKey, TagKeyText,
    UnusableTagKey, token_sha256,
};
pub use introspection::{
    ActiveToken, CONTRACT_VERSION, InactiveReason, Introspection, MalformedIntrospection, Upstream,
};
pub use renewal::{RenewalCause, RenewalRequest, field as renewal_field};
pub use revocations::{
    LONGEST_WAIT_SECONDS, MOST_EVENTS, MalformedRevocations, RevocationEvent, Revocations, Revoked,
};
pub use secret::Secret;

/// Path of the introspection endpoint on the service's internal port (RFC 7662).
pub const INTROSPECT_PATH: &str = "/introspect";
/// Path of the renewal endpoint on the service's internal port.
pub const RENEW_PATH: &str = "/sessions/renew";
/// Path of the revocation feed on the service's internal port.
pub const REVOCATIONS_PATH: &str = "/revocations";
