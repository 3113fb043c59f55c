//! The program while it serves, for tests that speak to it on real sockets.
#![allow(dead_code, unreachable_pub, reason = "each test program uses some of it")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_ib-oauth");

/// A settings file whose ports the system chooses, and all that it names.
pub(crate) fn settings(folder: &TempDir, more: &str) -> PathBuf {
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let key = write("sealing-key", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    let tags = write("token-tag-key", "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=");
    let credential = write("gateway-credential", "gateway-credential-for-tests-0123456789");
    let store = folder.path().join("store.redb");
    write(
        "settings.yaml",
        &format!(
            "issuer: http://127.0.0.1:8080\n\
             listen: {{ public: \"127.0.0.1:0\", internal: \"127.0.0.1:0\" }}\n\
             store: {{ engine: redb, path: {store:?} }}\n\
             sealing: {{ keys: [ {{ id: k1, file: {key:?} }} ] }}\n\
             token_tags: {{ keys: [ {{ id: t1, file: {tags:?} }} ] }}\n\
             gateway: {{ credentials: [ {{ file: {credential:?} }} ] }}\n\
             clients: [ {{ id: c, type: public, redirect_uris: [ \"http://127.0.0.1/callback\" ] }} ]\n\
             {more}\n"
        ),
    )
}

/// The program while it serves. It is ended when this is dropped.
pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) public: SocketAddr,
    pub(crate) internal: SocketAddr,
    /// Read on and on, so that the program never waits for it.
    _log: std::thread::JoinHandle<()>,
}

impl Serving {
    pub(crate) fn start(config: &Path) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--config"])
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("has started") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "the program ended");
        }
        let started: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = |name: &str| started[name].as_str().unwrap().parse().unwrap();
        let (public, internal) = (address("public"), address("internal"));
        let log = std::thread::spawn(move || {
            std::io::copy(&mut log, &mut std::io::sink()).ok();
        });
        Self { public, internal, child, _log: log }
    }

    pub(crate) fn get(&self, address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The same where the answer need not be text.
    pub(crate) fn get_bytes(&self, address: SocketAddr, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").ok();
        let mut answer = Vec::new();
        // It may break off.
        stream.read_to_end(&mut answer).ok();
        answer
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
