//! A simulated IntelligenceBank, for tests and demonstrations.
//!
//! One TLS server answers for every simulated host, and a control API on plain HTTP lets a test say
//! what happens next and read what was received. `tests/README.md` describes both faces.
//!
//! Lower modules know nothing of higher ones:
//!
//! ```text
//! simulator                      starts everything, stops everything
//! front, control                 the two faces: the simulated hosts, the tests' own API
//! login, api, rei_cca, echo, tampering    what one simulated host answers
//! shared                         the state that both faces use
//! accounts, request_log, settings, rate_limit, tenants
//! received, certificates, connection, clock, random, bounded_map, query
//! ```
#![forbid(unsafe_code)]

mod accounts;
mod api;
mod bounded_map;
mod certificates;
mod clock;
mod connection;
mod control;
mod echo;
mod front;
mod logging;
mod login;
mod query;
mod random;
mod rate_limit;
mod received;
mod rei_cca;
mod reply;
mod request_log;
mod settings;
mod shared;
mod simulator;
mod tampering;
mod tenants;
#[cfg(test)]
mod tests;

pub use certificates::CertificateError;
pub use clock::Clock;
pub use logging::{LogFilterError, start_logging};
pub use simulator::{Options, Simulator, StartError};
