//! Real servers for the tests of the stores: a `redis-server`, and a server that speaks DynamoDB's
//! protocol. Each is started on a free loopback port, and ended by its id when it is dropped.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program that listens. It is ended when this is dropped.
pub(crate) struct Server {
    child: Option<Child>,
    command: Command,
    pub(crate) port: u16,
    /// Its files, which outlive it.
    pub(crate) folder: TempDir,
}

impl Server {
    /// A Redis that keeps what it was told through a kill.
    pub(crate) fn redis() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(
            std::env::var_os("REDIS_SERVER").map_or_else(|| "redis-server".into(), PathBuf::from),
        );
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]);
        command.arg(folder.path());
        Self::start(command, port, folder)
    }

    /// The same with further settings of Redis, which may name files of the folder and the port.
    pub(crate) fn redis_with(more: impl FnOnce(&Path, u16) -> Vec<String>) -> Self {
        let mut server = Self::redis();
        server.kill();
        let more = more(server.folder.path(), server.port);
        server.command.args(more);
        server.restart();
        server
    }

    /// A DynamoDB, by `moto`, one request at a time.
    pub(crate) fn dynamodb() -> Self {
        let python = std::env::var_os("IB_TEST_MOTO_PYTHON");
        let python =
            python.expect("IB_TEST_MOTO_PYTHON is not set: `make test-stores` does it all");
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(python);
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/moto-server.py");
        command.args([program, &port.to_string()]);
        Self::start(command, port, folder)
    }

    fn start(command: Command, port: u16, folder: TempDir) -> Self {
        let mut server = Self { child: None, command, port, folder };
        server.restart();
        server
    }

    /// Starts it again, on the same port.
    pub(crate) fn restart(&mut self) {
        let child = self.command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("the server cannot be started: use `make test-stores`"));
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not listen");
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
