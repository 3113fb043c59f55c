//! An Envoy that is replaced by another one while it serves (`--restart-epoch`), on the files of a stack.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use ib_stack::Part;

use crate::connection::Connection;
use crate::deadline::{PATIENCE, eventually};
use crate::deployment::Deployment;
use crate::http::Request;

/// How the old process goes.
#[derive(Debug, Clone, Copy)]
pub struct Departure {
    /// How long it tells its clients to open new connections, which the new process gets.
    pub drain_seconds: u64,
    /// When it ends, with whatever it still serves; counted like the drain from the new one's start.
    pub parent_shutdown_seconds: u64,
}

/// The Envoys of one gateway, of which the last one serves.
pub struct HotRestart {
    folder: PathBuf,
    admin: SocketAddr,
    base_id: String,
    departure: Departure,
    processes: Vec<Child>,
}

impl HotRestart {
    /// Puts an Envoy that can be replaced in the place of the stack's own.
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    #[must_use]
    #[track_caller]
    pub fn begin(gateway: &Deployment, envoy: &Path, departure: Departure) -> Self {
        gateway.kill(Part::Envoy);
        let addresses = gateway.stack().addresses();
        let (folder, admin) = (addresses.run_directory.clone(), addresses.envoy_admin);
        let file = folder.join("base-id");
        let mut all =
            Self { folder, admin, base_id: String::new(), departure, processes: Vec::new() };
        let base_id_path = file.to_string_lossy().into_owned();
        all.start(envoy, &["--use-dynamic-base-id", "--base-id-path", &base_id_path]);
        let base_id = std::fs::read_to_string(&file).expect("Envoy tells its base id");
        base_id.trim().clone_into(&mut all.base_id);
        all
    }

    /// Starts the next Envoy, which takes the listeners over from the last, and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    #[track_caller]
    pub fn replace(&mut self, envoy: &Path) {
        let (epoch, base_id) = (self.processes.len().to_string(), self.base_id.clone());
        self.start(envoy, &["--base-id", &base_id, "--restart-epoch", &epoch]);
    }

    /// Waits until the Envoy before the last has ended by itself, and gives how.
    ///
    /// # Panics
    ///
    /// When it does not, or there is none.
    #[track_caller]
    pub fn await_departure(&mut self) -> ExitStatus {
        let place = self.processes.len().checked_sub(2).expect("an Envoy that was replaced");
        let patience = Duration::from_secs(self.departure.parent_shutdown_seconds) + PATIENCE;
        let process = &mut self.processes[place];
        eventually("the old Envoy to end", patience, || process.try_wait().expect("a child"))
    }

    #[track_caller]
    fn start(&mut self, envoy: &Path, more: &[&str]) {
        let epoch = self.processes.len();
        let log = |name: &str| {
            let path = self.folder.join("logs").join(name);
            let file = OpenOptions::new().create(true).append(true).open(path);
            Stdio::from(file.expect("a log"))
        };
        let Departure { drain_seconds, parent_shutdown_seconds } = self.departure;
        let child = Command::new(envoy)
            .args(["-c", "envoy.json", "--concurrency", "2", "--log-level", "info"])
            .args(["--drain-time-s", &drain_seconds.to_string()])
            .args(["--parent-shutdown-time-s", &parent_shutdown_seconds.to_string()])
            .args(more)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log("access.log"))
            .stderr(log("envoy.log"))
            .spawn()
            .expect("Envoy can be started");
        self.processes.push(child);
        eventually("the new Envoy to serve", PATIENCE, || {
            let ended = self.processes[epoch].try_wait().expect("a child");
            assert!(ended.is_none(), "Envoy of epoch {epoch} ended: {ended:?}");
            let ask = |path: &str| {
                let mut connection = Connection::open(self.admin).ok()?;
                let answer = connection.exchange(&Request::get(path), &self.admin.to_string());
                answer.ok().filter(|answer| answer.status == 200)
            };
            ask("/ready")?;
            let served_by = ask("/server_info")?.json()["command_line_options"]["restart_epoch"]
                .as_u64()
                .unwrap_or_default();
            (served_by == epoch as u64).then_some(())
        });
    }
}

impl Drop for HotRestart {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended.
            let _ = process.kill();
            let _ = process.wait();
        }
        // What Envoys share, which a killed one leaves behind. (Envoy counts in tens.)
        if let Ok(base_id) = self.base_id.parse::<u64>() {
            let _ = std::fs::remove_file(format!("/dev/shm/envoy_shared_memory_{}", base_id * 10));
        }
    }
}
