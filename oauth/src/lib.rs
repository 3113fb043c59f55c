//! The OAuth 2.0 service that keeps IntelligenceBank sessions.
//!
//! A request's way: `endpoints` read parameters and write answers, `logins`, `grants` and `renewals`
//! decide, `machine_credentials` keep what machines call with, `feed` tells gateways what has ended, `records` seal what the `store` keeps, and
//! `upstreams` speak to IntelligenceBank.
#![forbid(unsafe_code)]

mod admin;
mod app;
mod audit;
mod authorization;
mod clients;
mod clock;
mod draining;
mod endpoints;
mod error;
mod feed;
mod grants;
mod hosts;
mod internal_tls;
mod keys;
mod limits;
mod live;
mod logins;
mod logouts;
mod machine_credentials;
mod metrics;
mod pkce;
mod records;
mod renewals;
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

pub use admin::{
    AdminError, Chosen, Copied, CreateTablesError, KeyCommandError, ListedKey, Progress, Remote,
    SeedError, SeedOptions, StoredKind, backup, compact, create_tables, generate_key,
    list_credentials, list_grants, list_keys, migrate, refresh_credential, restore, revoke_grants,
    rotate_keys, seed, verify_backup,
};
pub use server::{ServeError, serve};
pub use settings::{Problem, Settings, SettingsError};
pub use telemetry::{Telemetry, start as start_log};
