//! What a stack can be asked for, and where it can then be found.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a test may vary. The default is the development set-up of `make run`, on free ports.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StackOptions {
    /// The stage prefix, such as `/dev`: it stands before every path and in the issuer.
    pub stage: Option<String>,
    /// RFC 7396 merge patch over the development settings of the service; null changes nothing.
    pub service_settings: Value,
    /// RFC 7396 merge patch over the plugin's development configuration; null changes nothing.
    pub plugin_configuration: Value,
    /// RFC 6902 operations, applied to the Envoy bootstrap after everything else. They may name places
    /// as the overlays do: `${gateway_address}`.
    pub envoy_patch: Vec<Value>,
    /// Gives the gateway's listener back the TLS of production, under a CA of this run, and the issuer
    /// and the resource a name with `https`.
    pub gateway_tls: bool,
    /// Has the simulator listen on 8443 behind a static cluster, as where 443 cannot be bound.
    pub simulator_port_8443: bool,
    /// The simulator's log level (tracing's env-filter syntax); `info` where there is none.
    pub simulator_log: Option<String>,
}

/// One of the programs of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The simulated IntelligenceBank.
    Simulator,
    /// The OAuth service.
    Service,
    /// Envoy with the filter.
    Envoy,
}

impl Part {
    /// Every part, in the order in which they start.
    pub const ALL: [Self; 3] = [Self::Simulator, Self::Service, Self::Envoy];

    /// The name that log files and pid files carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simulator => "simulator",
            Self::Service => "service",
            Self::Envoy => "envoy",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Simulator => "the simulator",
            Self::Service => "the OAuth service",
            Self::Envoy => "Envoy",
        })
    }
}

/// Where the parts of a running stack can be reached, and the files that a client needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Envoy's listener for clients; plain HTTP unless the bootstrap was patched.
    pub gateway: SocketAddr,
    /// Envoy's admin interface.
    pub envoy_admin: SocketAddr,
    /// Envoy's listener that shows metrics and readiness only.
    pub envoy_stats: SocketAddr,
    /// The service's public port, without the gateway before it.
    pub service_public: SocketAddr,
    /// The service's internal port.
    pub service_internal: SocketAddr,
    /// The simulator's control API (plain HTTP).
    pub simulator_control: SocketAddr,
    /// The simulator's TLS listener, one for all simulated hosts.
    pub simulator_tls: SocketAddr,
    /// The simulator's CA certificate (PEM), made anew at each of its starts.
    pub ca_pem: PathBuf,
    /// Everything of this run: configuration, secrets, store, logs. The CA of the gateway's own certificate
    /// is `tls/ca.crt` in it.
    pub run_directory: PathBuf,
    /// The secret with which the gateway proves itself to the service.
    pub gateway_credential_file: PathBuf,
}
