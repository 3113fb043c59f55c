//! Checking the bounds of the HTTP servers.

use super::Problems;
use crate::settings::{ServerSettings, file};

pub(super) fn check(file: &file::Server, found: &mut Problems) -> ServerSettings {
    ServerSettings {
        maximum_body_bytes: found.bytes(
            "server.maximum_body_bytes",
            file.maximum_body_bytes,
            1_024..=1024 * 1024,
        ),
        maximum_connections: found.bytes(
            "server.maximum_connections",
            file.maximum_connections,
            1..=1_000_000,
        ),
        maximum_header_bytes: found.bytes(
            "server.maximum_header_bytes",
            file.maximum_header_bytes,
            // The HTTP library's own least.
            8_192..=1024 * 1024,
        ),
        header_timeout: found.seconds(
            "server.header_timeout_seconds",
            file.header_timeout_seconds,
            1..=600,
        ),
        body_timeout: found.seconds(
            "server.body_timeout_seconds",
            file.body_timeout_seconds,
            1..=600,
        ),
        write_timeout: found.seconds(
            "server.write_timeout_seconds",
            file.write_timeout_seconds,
            1..=600,
        ),
        idle_timeout: found.seconds(
            "server.idle_timeout_seconds",
            file.idle_timeout_seconds,
            1..=600,
        ),
        request_timeout: found.seconds(
            "server.request_timeout_seconds",
            file.request_timeout_seconds,
            1..=600,
        ),
        drain: found.seconds("server.drain_seconds", file.drain_seconds, 0..=600),
        shutdown: found.seconds("server.shutdown_seconds", file.shutdown_seconds, 1..=600),
        trusted_hops: found.bytes("server.trusted_hops", file.trusted_hops, 0..=16),
    }
}
