//! Envoy by itself, for tests of a configuration file rather than of a running stack.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::connection::Connection;
use crate::deadline::{PATIENCE, eventually};
use crate::http::Request;

/// The folder `envoy/` of the project.
#[must_use]
pub fn envoy_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy")
}

/// A file beside the programs under test, such as `plugin.wasm`.
///
/// # Panics
///
/// When the tests were not started by `make test`.
#[must_use]
#[track_caller]
pub fn built(name: &str) -> PathBuf {
    PathBuf::from(variable("IB_GATEWAY_BIN")).join(name)
}

/// The Envoy under test.
///
/// # Panics
///
/// When the tests were not started by `make test`.
#[must_use]
#[track_caller]
pub fn envoy_program() -> PathBuf {
    PathBuf::from(variable("ENVOY"))
}

/// Checks a bootstrap file as `envoy --mode validate` does, from `folder`.
///
/// # Panics
///
/// When Envoy cannot be started.
#[must_use]
#[track_caller]
pub fn validate(folder: &Path, file: &str) -> Output {
    validate_with(&envoy_program(), folder, file)
}

/// Like [`validate`], with another Envoy.
///
/// # Panics
///
/// When Envoy cannot be started.
#[must_use]
#[track_caller]
pub fn validate_with(envoy: &Path, folder: &Path, file: &str) -> Output {
    let mut command = Command::new(envoy);
    command.args(["--mode", "validate", "--use-dynamic-base-id", "-c", file]).current_dir(folder);
    command.output().expect("Envoy can be started")
}

/// A loopback port that nobody listens on.
///
/// # Panics
///
/// When there is none.
#[must_use]
#[track_caller]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A running Envoy; it ends with this value.
pub struct EnvoyProcess {
    child: Child,
}

impl EnvoyProcess {
    /// Starts Envoy on a bootstrap file, from `folder`, and waits until its admin port says ready.
    ///
    /// # Panics
    ///
    /// When it does not become ready; the text holds what Envoy said.
    #[must_use]
    #[track_caller]
    pub fn start(folder: &Path, file: &str, admin: SocketAddr) -> Self {
        let log = folder.join("envoy.log");
        let child = Command::new(envoy_program())
            .args(["--use-dynamic-base-id", "--concurrency", "1", "-l", "info", "-c", file])
            .arg("--log-path")
            .arg(&log)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Envoy can be started");
        let mut process = Self { child };
        eventually("Envoy to be ready", PATIENCE, || {
            if let Ok(Some(status)) = process.child.try_wait() {
                let said = fs::read_to_string(&log).unwrap_or_default();
                panic!("Envoy ended with {status}: {said}");
            }
            let answer = Connection::open(admin)
                .and_then(|mut connection| {
                    connection.exchange(&Request::get("/ready"), &admin.to_string())
                })
                .ok()?;
            (answer.status == 200).then_some(())
        });
        process
    }
}

impl Drop for EnvoyProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn variable(name: &str) -> std::ffi::OsString {
    env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run through make test"))
}
