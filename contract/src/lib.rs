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
mod secret;

pub use access_token::{ACCESS_TOKEN_PREFIX, could_be_access_token};
pub use introspection::{
    ActiveToken, CONTRACT_VERSION, InactiveReason, Introspection, MalformedIntrospection, Upstream,
};
pub use secret::Secret;

/// Path of the introspection endpoint on the service's internal port (RFC 7662).
pub const INTROSPECT_PATH: &str = "/introspect";
