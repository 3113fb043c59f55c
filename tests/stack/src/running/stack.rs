//! The running stack: three processes and a DNS stub, started in order and ended together.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::PathBuf;

use reqwest::Client;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::identity::ProcessIdentity;
use super::layout::{Layout, Programs};
use super::places::Places;
use super::process::Process;
use super::{dns, readiness};
use crate::configuration::stage::Stage;
use crate::configuration::write;
use crate::configuration::{certificates, envoy, secrets, service, values};
use crate::{Addresses, Part, StackError, StackOptions};

/// What a stack is made of: everything is chosen, nothing is started.
#[derive(Debug)]
pub struct Plan {
    /// What to run.
    pub programs: Programs,
    /// The folder of this run; it is made when it is not there.
    pub run_directory: PathBuf,
    /// Where to listen.
    pub places: Places,
    /// The bound socket of the DNS stub.
    pub dns_socket: UdpSocket,
    /// What differs from plain development.
    pub options: StackOptions,
}

/// A stack whose files are written and whose parts can be started.
#[derive(Debug)]
pub struct RunningStack {
    programs: Programs,
    layout: Layout,
    places: Places,
    stage: Stage,
    simulator_log: String,
    gateway_scheme: &'static str,
    internal_has_tls: bool,
    client: Client,
    processes: BTreeMap<Part, Process>,
    dns: JoinHandle<()>,
}

impl RunningStack {
    /// Writes all files and starts the DNS stub; no part runs yet.
    ///
    /// # Errors
    ///
    /// When an option cannot be used or a file cannot be read or written.
    pub fn prepare(plan: Plan) -> Result<Self, StackError> {
        let Plan { programs, run_directory, places, dns_socket, options } = plan;
        let stage = Stage::new(options.stage.as_deref())?;
        let dns_address =
            dns_socket.local_addr().map_err(StackError::io("the DNS stub's address"))?;
        let layout = Layout::create(run_directory)?;
        layout.empty_logs()?;
        secrets::prepare(&layout)?;
        certificates::write(&layout, places.gateway.ip())?;
        let scheme = if options.gateway_tls { "https" } else { "http" };
        let base = format!("{scheme}://{}{}", places.gateway, stage.as_str());
        let settings = service::settings(&layout, &places, &base, &options.service_settings);
        let internal_has_tls = settings.get("internal_tls").is_some();
        let settings = serde_saphyr::to_string(&settings)
            .map_err(|error| StackError::configuration("oauth.yaml", error))?;
        write(&layout.service_settings(), settings.as_bytes())?;

        let values = values::of_stack(&layout, &places, scheme, dns_address);
        let folder = programs.envoy_folder();
        let overlays: &[_] = if places.needs_static_upstream() {
            &[envoy::DEVELOPMENT_FILE, envoy::STATIC_UPSTREAM_FILE]
        } else {
            &[envoy::DEVELOPMENT_FILE]
        };
        let bootstrap = envoy::bootstrap(folder, overlays, &values, &stage, &options)?;
        let text = serde_json::to_vec_pretty(&bootstrap)
            .map_err(|error| StackError::configuration("envoy.json", error))?;
        write(&layout.envoy_bootstrap(), &text)?;
        copy(programs.plugin().to_owned(), layout.plugin())?;
        for name in ["gateway-certificate.yaml", "gateway-credential.yaml"] {
            copy(folder.join("sds").join(name), layout.sds().join(name))?;
        }

        let client = readiness::loopback_client(&[readiness::certificate(&layout.gateway_ca())?])?;
        Ok(Self {
            dns: dns::serve(dns_socket, places.simulator_tls.ip())?,
            programs,
            layout,
            places,
            stage,
            simulator_log: options.simulator_log.unwrap_or_else(|| "info".to_owned()),
            gateway_scheme: if envoy::gateway_has_tls(&bootstrap) { "https" } else { "http" },
            internal_has_tls,
            client,
            processes: BTreeMap::new(),
        })
    }

    /// Where the parts can be reached.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses {
            gateway: self.places.gateway,
            envoy_admin: self.places.envoy_admin,
            envoy_stats: self.places.envoy_stats,
            service_public: self.places.service_public,
            service_internal: self.places.service_internal,
            simulator_control: self.places.simulator_control,
            simulator_tls: self.places.simulator_tls,
            ca_pem: self.layout.ca_pem(),
            run_directory: self.layout.folder().to_owned(),
            gateway_credential_file: self.layout.gateway_credential(),
        }
    }

    /// What clients put before a path: scheme, address and stage, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}://{}{}", self.gateway_scheme, self.places.gateway, self.stage.as_str())
    }

    /// The files of this run.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Starts a part and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it runs already, ends early or is not ready in time. What was started is ended again.
    pub async fn start(&mut self, part: Part) -> Result<(), StackError> {
        if self.process_id(part).is_some() {
            return Err(StackError::WrongState { part, state: "running already" });
        }
        let log = self.layout.log(part);
        let output = if part == Part::Envoy { self.layout.access_log() } else { log.clone() };
        let mut process = Process::spawn(self.command(part), &output, &log)?;
        let urls = self.readiness_urls(part);
        match readiness::wait(part, &mut process, &self.client, &urls, &log).await {
            Ok(()) => {
                self.processes.insert(part, process);
                Ok(())
            }
            Err(error) => {
                process.terminate().await;
                Err(error)
            }
        }
    }

    /// Kills a part and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub async fn kill(&mut self, part: Part) -> Result<(), StackError> {
        self.running(part)?.kill().await?;
        self.processes.remove(&part);
        Ok(())
    }

    /// Ends a part in peace, if it runs.
    pub async fn end(&mut self, part: Part) {
        if let Some(process) = self.processes.remove(&part) {
            process.terminate().await;
        }
    }

    /// Stops a part's execution.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub async fn pause(&mut self, part: Part) -> Result<(), StackError> {
        self.running(part)?.pause().await
    }

    /// Lets a paused part go on.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn resume(&mut self, part: Part) -> Result<(), StackError> {
        self.running(part)?.resume()
    }

    /// The process id of a part that runs.
    pub fn process_id(&mut self, part: Part) -> Option<u32> {
        self.running(part).ok().map(|process| process.process_id())
    }

    /// The parts that run, for a later look at whether they still do.
    #[must_use]
    pub fn identities(&self) -> BTreeMap<Part, ProcessIdentity> {
        self.processes
            .iter()
            .filter_map(|(part, process)| Some((*part, process.identity()?)))
            .collect()
    }

    /// Takes out the parts that ended by themselves, each with how it ended.
    pub fn take_ended(&mut self) -> Vec<(Part, String)> {
        let mut ended = Vec::new();
        self.processes.retain(|part, process| match process.exited() {
            Some(status) => {
                ended.push((*part, status.to_string()));
                false
            }
            None => true,
        });
        ended
    }

    /// Ends every part, Envoy first, so that no request meets a half that is gone.
    pub async fn stop(mut self) {
        for part in Part::ALL.into_iter().rev() {
            self.end(part).await;
        }
        self.dns.abort();
    }

    fn running(&mut self, part: Part) -> Result<&mut Process, StackError> {
        self.processes
            .get_mut(&part)
            .and_then(|process| process.exited().is_none().then_some(process))
            .ok_or(StackError::WrongState { part, state: "not running" })
    }

    fn command(&self, part: Part) -> Command {
        let mut command = Command::new(self.programs.program(part));
        command.current_dir(self.layout.folder());
        match part {
            Part::Simulator => {
                command
                    .arg("--listen")
                    .arg(self.places.simulator_tls.to_string())
                    .arg("--control")
                    .arg(self.places.simulator_control.to_string())
                    .arg("--ca-out")
                    .arg(self.layout.ca_pem())
                    .args(["--log", &self.simulator_log]);
            }
            Part::Service => {
                command.args(["serve", "--config"]).arg(self.layout.service_settings());
            }
            Part::Envoy => {
                command.arg("-c").arg(self.layout.envoy_bootstrap()).args([
                    "--concurrency",
                    "2",
                    "--log-level",
                    "info",
                    "--component-log-level",
                    "wasm:info",
                    // Many Envoys side by side, and no shared memory that a killed one leaves behind.
                    "--disable-hot-restart",
                    // The access log is written out at once, for people and tests that wait for it.
                    "--file-flush-interval-msec",
                    "100",
                ]);
            }
        }
        command
    }

    /// What answers 200 when the part is ready.
    fn readiness_urls(&mut self, part: Part) -> Vec<String> {
        let places = self.places;
        match part {
            Part::Simulator => vec![format!("http://{}/healthz", places.simulator_control)],
            // Nobody but the gateway has a certificate for the internal port.
            Part::Service if self.internal_has_tls => {
                vec![format!("http://{}/healthz", places.service_public)]
            }
            Part::Service => vec![format!("http://{}/readyz", places.service_internal)],
            Part::Envoy => {
                let mut urls = vec![format!("http://{}/ready", places.envoy_admin)];
                // Through the gateway the service answers: only where there is one.
                if self.process_id(Part::Service).is_some() {
                    urls.push(format!("{}/healthz", self.base_url()));
                }
                urls
            }
        }
    }
}

fn copy(from: PathBuf, to: PathBuf) -> Result<(), StackError> {
    std::fs::copy(&from, &to).map(|_length| ()).map_err(StackError::io(format!(
        "{} to {}",
        from.display(),
        to.display()
    )))
}
