//! The decisions of the gateway filter, with no host and no proxy-wasm.
//!
//! An adapter owns one [`Gateway`] a worker and one [`Stream`] an HTTP stream, tells the stream what
//! happened, and does what the stream asks of its [`Host`]. Follow a request from
//! [`Stream::on_request_headers`]: it asks `target`, `bearer` and `cache`, and only on a miss
//! `token_service`; the answer comes back once, as a rewrite or through `refusal`.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod bearer;
mod cache;
mod config;
mod counters;
mod gateway;
mod headers;
mod host;
mod location;
mod percent;
mod policy;
mod query;
mod refusal;
mod request;
mod response;
mod rewrite;
mod session;
mod stream;
mod target;
mod time;
mod token_service;

pub use config::ConfigurationError;
pub use counters::Counter;
pub use gateway::Gateway;
pub use headers::{HeaderMap, HeaderReferences};
pub use host::{Answer, AnswerSize, Callout, Host, HostError};
pub use refusal::Reply;
pub use stream::{Flow, Stream};
pub use time::Timestamp;

#[cfg(test)]
mod properties;
