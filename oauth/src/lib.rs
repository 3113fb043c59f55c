//! The OAuth 2.0 service that keeps IntelligenceBank sessions.
//!
//! A request's way: `endpoints` read parameters and write answers, `logins` and `grants` decide,
//! `records` seal what the `store` keeps, and `upstreams` speak to IntelligenceBank.
#![forbid(unsafe_code)]

mod app;
mod authorization;
mod clients;
mod clock;
mod endpoints;
mod error;
mod grants;
mod hosts;
mod logins;
mod metrics;
mod pkce;
mod records;
mod sealing;
mod server;
mod sessions;
mod settings;
mod store;
mod telemetry;
#[cfg(test)]
mod tests;
mod tokens;
mod upstreams;

pub use server::{ServeError, serve};
pub use settings::{Problem, Settings, SettingsError};
pub use telemetry::start as start_log;
