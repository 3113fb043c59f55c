//! What the placeholders of Envoy's overlays stand for.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::placeholders::Values;
use crate::running::layout::Layout;
use crate::running::places::Places;

/// The values of a stack whose parts are all on this host; `dns` is where names are resolved.
#[must_use]
pub fn of_stack(layout: &Layout, places: &Places, scheme: &str, dns: SocketAddr) -> Values {
    let address = |address: SocketAddr| json!(address.ip().to_string());
    let port = |address: SocketAddr| json!(address.port());
    let path = |path: PathBuf| Value::String(path.to_string_lossy().into_owned());
    Values::from([
        ("gateway_url", json!(format!("{scheme}://{}", places.gateway))),
        ("gateway_host", address(places.gateway)),
        ("gateway_address", address(places.gateway)),
        ("gateway_port", port(places.gateway)),
        ("admin_address", address(places.envoy_admin)),
        ("admin_port", port(places.envoy_admin)),
        ("stats_address", address(places.envoy_stats)),
        ("stats_port", port(places.envoy_stats)),
        ("service_public_address", address(places.service_public)),
        ("service_public_port", port(places.service_public)),
        ("service_internal_address", address(places.service_internal)),
        ("service_internal_port", port(places.service_internal)),
        ("dns_address", address(dns)),
        ("dns_port", port(dns)),
        ("simulator_address", address(places.simulator_tls)),
        ("simulator_port", port(places.simulator_tls)),
        ("ca_file", path(layout.ca_pem())),
        ("run_directory", path(layout.folder().to_owned())),
    ])
}
