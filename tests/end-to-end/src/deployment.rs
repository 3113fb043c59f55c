//! How a test reaches a gateway: its own stack, or one that somebody else has started.

use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ib_stack::{Part, Stack, StackOptions};
use serde::Deserialize;

use crate::connection::Connection;
use crate::http::{Request, Response};
use crate::login::{Grant, LOOPBACK_REDIRECT, OAuthClient, PUBLIC_CLIENT};
use crate::metrics::{Sample, parse_prometheus, sum_of};
use crate::simulator::{PLATFORM_HOST, Simulator};

/// Names a JSON file with the fields of [`Reach`]: the tests then run against that stack, and those
/// that need a stack of their own say so and pass by.
const OUTSIDE: &str = "IB_STACK_ADDRESSES";

/// The addresses of a running gateway and of what stands around it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// The gateway itself: plain HTTP.
    pub gateway: SocketAddr,
    /// Envoy's admin port.
    pub envoy_admin: SocketAddr,
    /// The service's public port, behind the gateway.
    pub service_public: SocketAddr,
    /// The service's internal port.
    pub service_internal: SocketAddr,
    /// The simulator's control port.
    pub simulator_control: SocketAddr,
    /// The simulator's TLS port.
    pub simulator_tls: SocketAddr,
    /// The certificate authority of the simulated hosts.
    pub ca_pem: PathBuf,
    /// The file that holds the secret by which the gateway proves itself to the service.
    pub gateway_credential_file: PathBuf,
}

/// A gateway under test.
pub struct Deployment {
    reach: Reach,
    stage: String,
    stack: Option<Stack>,
}

impl Deployment {
    /// A gateway with the ordinary settings: the one that [`Reach`]'s file names, else a fresh stack.
    /// Tests that share it must not disturb each other.
    ///
    /// # Panics
    ///
    /// When it cannot be had.
    #[must_use]
    #[track_caller]
    pub fn shared() -> Self {
        match outside() {
            Some(reach) => Self { reach, stage: String::new(), stack: None },
            None => Self::start(StackOptions::default()),
        }
    }

    /// A stack of one's own, which may be disturbed. `None` (and a word about it) when the tests run
    /// against a stack from outside.
    ///
    /// # Panics
    ///
    /// When the stack does not start.
    #[must_use]
    #[track_caller]
    pub fn own(options: StackOptions) -> Option<Self> {
        if outside().is_some() {
            eprintln!("skipped: this test needs a stack of its own");
            return None;
        }
        Some(Self::start(options))
    }

    /// Why a stack with these options does not start. `None` (and a word about it) when the tests run
    /// against a stack from outside.
    ///
    /// # Panics
    ///
    /// When it starts.
    #[must_use]
    #[track_caller]
    pub fn refused(options: StackOptions) -> Option<String> {
        if outside().is_some() {
            eprintln!("skipped: this test needs a stack of its own");
            return None;
        }
        match Stack::start(options) {
            Ok(_) => panic!("the stack starts, although it should not"),
            Err(error) => Some(error.to_string()),
        }
    }

    #[track_caller]
    fn start(options: StackOptions) -> Self {
        let stage = options.stage.clone().unwrap_or_default();
        let stack = match Stack::start(options) {
            Ok(stack) => stack,
            Err(error) => panic!("the stack does not start: {error}"),
        };
        let addresses = stack.addresses();
        let reach = Reach {
            gateway: addresses.gateway,
            envoy_admin: addresses.envoy_admin,
            service_public: addresses.service_public,
            service_internal: addresses.service_internal,
            simulator_control: addresses.simulator_control,
            simulator_tls: addresses.simulator_tls,
            ca_pem: addresses.ca_pem.clone(),
            gateway_credential_file: addresses.gateway_credential_file.clone(),
        };
        Self { reach, stage, stack: Some(stack) }
    }

    /// Where everything is.
    #[must_use]
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The stack, when it is the test's own to kill and to look into.
    ///
    /// # Panics
    ///
    /// When somebody else has started it.
    #[must_use]
    #[track_caller]
    pub fn stack(&self) -> &Stack {
        self.stack.as_ref().expect("a stack that this test has started")
    }

    /// True when the parts can be looked into (their processes and files).
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.stack.is_some()
    }

    /// The value of `host` that this gateway answers for.
    #[must_use]
    pub fn host(&self) -> String {
        self.reach.gateway.to_string()
    }

    /// The base URL, with the stage and without a slash at its end: also the issuer.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.host(), self.stage)
    }

    /// The URL of the resource metadata that every challenge names: the well-known path inserted before
    /// the path of the resource, which is the proxy's prefix (RFC 9728 section 3.1).
    #[must_use]
    pub fn resource_metadata(&self) -> String {
        format!("http://{}/.well-known/oauth-protected-resource{}/proxy/", self.host(), self.stage)
    }

    /// A path of this gateway: the stage in front of it.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.stage)
    }

    /// A request to the demo tenant's platform through the gateway; `rest` begins with a slash.
    #[must_use]
    pub fn proxied(&self, method: &str, rest: &str) -> Request {
        self.proxied_to(PLATFORM_HOST, method, rest)
    }

    /// A request to a host through the gateway; `rest` is everything after the host.
    #[must_use]
    pub fn proxied_to(&self, host: &str, method: &str, rest: &str) -> Request {
        Request::new(method, self.path(&format!("/proxy/{host}{rest}")))
    }

    /// A fresh connection to the gateway.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    #[must_use]
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.reach.gateway).expect("the gateway listens")
    }

    /// Sends a request on a connection of its own and reads the answer.
    ///
    /// # Panics
    ///
    /// When there is no whole answer.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        match self.try_send(request) {
            Ok(response) => response,
            Err(error) => panic!("no answer to {}: {error}", shown(request)),
        }
    }

    /// Like [`Deployment::send`], for requests that may be cut off.
    ///
    /// # Errors
    ///
    /// When there is no whole answer.
    pub fn try_send(&self, request: &Request) -> io::Result<Response> {
        Connection::open(self.reach.gateway)?.exchange(request, &self.host())
    }

    /// The simulator behind the gateway.
    #[must_use]
    pub fn simulator(&self) -> Simulator {
        Simulator::new(
            self.reach.simulator_control,
            self.reach.simulator_tls,
            self.reach.ca_pem.clone(),
        )
    }

    /// A client of the gateway that has found its endpoints.
    ///
    /// # Panics
    ///
    /// When the metadata cannot be read.
    #[must_use]
    #[track_caller]
    pub fn client(&self, client_id: &str, redirect_uri: &str) -> OAuthClient<'_> {
        OAuthClient::discover(self, client_id, redirect_uri)
    }

    /// A whole login of `ada` by the well-known public client: a session and tokens of one's own.
    ///
    /// # Panics
    ///
    /// When any step of it fails.
    #[must_use]
    #[track_caller]
    pub fn log_in(&self) -> Grant {
        self.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT).log_in("ada")
    }

    /// The sum of a service counter over the samples with all of these labels.
    ///
    /// # Panics
    ///
    /// When the service does not tell.
    #[must_use]
    #[track_caller]
    pub fn service_metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        sum_of(&self.service_metrics(), name, labels)
    }

    /// All samples of the service.
    ///
    /// # Panics
    ///
    /// When the service does not tell.
    #[must_use]
    #[track_caller]
    pub fn service_metrics(&self) -> Vec<Sample> {
        let answer = self.ask(self.reach.service_internal, "/metrics").with_status(200);
        parse_prometheus(&answer.text())
    }

    /// Envoy's counters and gauges whose names contain `part`, by name.
    ///
    /// # Panics
    ///
    /// When Envoy does not tell.
    #[must_use]
    #[track_caller]
    pub fn envoy_stats(&self, part: &str) -> Vec<(String, u64)> {
        let answer = self.ask(self.reach.envoy_admin, "/stats").with_status(200);
        answer
            .text()
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| name.contains(part))
            .filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)))
            .collect()
    }

    /// A GET on a port other than the gateway's.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    #[track_caller]
    pub fn ask(&self, address: SocketAddr, path: &str) -> Response {
        Connection::open(address)
            .and_then(|mut connection| {
                connection.exchange(&Request::get(path), &address.to_string())
            })
            .unwrap_or_else(|error| panic!("no answer from {address}{path}: {error}"))
    }

    /// Kills a part with SIGKILL, as a crash would.
    ///
    /// # Panics
    ///
    /// When it cannot be killed.
    #[track_caller]
    pub fn kill(&self, part: Part) {
        self.stack().kill(part).unwrap_or_else(|error| panic!("cannot kill: {error}"));
    }

    /// Starts a killed part again and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[track_caller]
    pub fn start_part(&self, part: Part) {
        self.stack().start_part(part).unwrap_or_else(|error| panic!("cannot start: {error}"));
    }

    /// The process id of a part.
    ///
    /// # Panics
    ///
    /// When the part does not run.
    #[must_use]
    #[track_caller]
    pub fn process_id(&self, part: Part) -> u32 {
        self.stack().process_id(part).expect("the part runs")
    }
}

fn outside() -> Option<Reach> {
    let file = env::var_os(OUTSIDE)?;
    let text = fs::read_to_string(Path::new(&file))
        .unwrap_or_else(|error| panic!("{OUTSIDE} names a file that cannot be read: {error}"));
    match serde_json::from_str(&text) {
        Ok(reach) => Some(reach),
        Err(error) => panic!("{OUTSIDE} names a file of another form: {error}"),
    }
}

fn shown(request: &Request) -> String {
    let head = request.head_bytes("…");
    String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned()
}
