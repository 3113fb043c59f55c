//! The decisions of the gateway filter, with no host and no proxy-wasm.
//!
//! An adapter owns one [`Gateway`] a worker, tells it what happened to which stream, and does what it
//! asks of its [`Host`]. Follow a request from [`Gateway::on_request_headers`]: `head` reads it in one pass,
//! `usual` finds what is known for nearly all of them; else `head` asks `target` and `bearer`, then the
//! `cache` is asked, and only on a miss `asking`, whose callouts are merged in `flight`. The answer comes
//! back once, as a rewrite or through `refusal`.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod asking;
mod bearer;
mod bytes;
mod cache;
mod config;
mod counters;
mod credentials;
mod feed;
mod flight;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod gateway;
mod grant;
mod head;
mod header_names;
mod headers;
mod held_answer;
mod host;
mod kept_body;
mod location;
mod measures;
mod new_answer;
mod pairs;
mod percent;
mod policy;
mod query;
mod redact;
mod refusal;
mod renewal;
mod replay;
mod request;
mod response;
mod response_headers;
mod rewrite;
mod rules;
mod session;
mod stream;
mod tally;
mod target;
mod time;
mod token_service;
mod usual;

pub use config::ConfigurationError;
pub use counters::Counter;
pub use gateway::{Gateway, TICK};
pub use headers::{HeaderEdits, HeaderMap, HeaderReferences, MalformedHeaders, to_block};
pub use host::{AnswerSize, Callout, CalloutId, Host, HostError, Note, StreamId};
pub use measures::{Gauge, Histogram};
pub use refusal::Reply;
pub use stream::{BodyFlow, HeadersFlow, TrailersFlow};
pub use time::{RecentTime, Timestamp};

#[cfg(test)]
mod properties;
