//! The kit of the end-to-end tests: how a test reaches a gateway, speaks to it byte for byte, logs in
//! as a client does, and looks at what arrived upstream.
//!
//! It knows the gateway by its contract only (addresses, HTTP, OAuth), so that the same tests can run
//! against a stack that somebody else has started: see [`Deployment`].
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this crate serves tests only: a panic with a clear text is how a test fails"
)]

mod assertions;
mod challenge;
mod connection;
mod deadline;
mod deployment;
mod envoy_process;
mod es256;
mod hot_restart;
mod http;
mod insight;
mod load;
mod login;
mod machine;
mod metrics;
mod page;
mod pkce;
mod process;
mod production;
mod prometheus;
mod random;
mod recorder;
mod simulator;
mod source;
mod steady;
mod tls;
mod transfer;

pub use assertions::{assert_error_body, assert_refusal};
pub use challenge::Challenge;
pub use connection::{Connection, Head, ServerBytes};
pub use deadline::{Deadline, PATIENCE, eventually};
pub use deployment::{Deployment, Reach};
pub use envoy_process::{
    EnvoyProcess, built, envoy_folder, envoy_program, free_port, validate, validate_with,
};
pub use es256::Es256Key;
pub use hot_restart::{Departure, HotRestart};
pub use http::{Request, Response};
pub use insight::{FEEDS, WORKERS};
pub use load::Pace;
pub use login::{Authorization, Grant, LOOPBACK_REDIRECT, OAuthClient, PUBLIC_CLIENT, TEST_CLIENT};
pub use machine::{AZURA, BLUE_OCEAN, Machines, REI_HOST, REI_TOKEN_PATH};
pub use metrics::{Sample, parse_prometheus, sum_of};
pub use page::{Form, Page};
pub use pkce::Verifier;
pub use process::{MemoryWatch, resident_bytes};
pub use production::{
    PRODUCTION_NAME, Snippet, envoys_at_hand, minor_version, production_bootstrap,
    production_folder,
};
pub use prometheus::{Found, Prometheus, observability_folder, rule_files};
pub use random::{forged_token, unique, unique_hex};
pub use recorder::Recorder;
pub use simulator::{API_HOST, FOREIGN_HOST, LoggedRequest, PLATFORM_HOST, Simulator};
pub use steady::{Load, Seen};
pub use tls::tls_connection;
pub use transfer::{Pattern, sha256_hex};

pub use ib_stack::{Part, StackOptions};
