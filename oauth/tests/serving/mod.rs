//! The program while it serves, for tests that speak to it on real sockets.
#![allow(dead_code, unreachable_pub, reason = "each test program uses some of it")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::Receiver,
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
    let store = if more.contains("store:") {
        String::new()
    } else {
        format!("store: {{ engine: redb, path: {store:?} }}")
    };
    write(
        "settings.yaml",
        &format!(
            "issuer: http://127.0.0.1:8080\n\
             listen: {{ public: \"127.0.0.1:0\", internal: \"127.0.0.1:0\" }}\n\
             {store}\n\
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
    /// The log up to the line that tells the start.
    pub(crate) before: String,
    /// The lines after it. They are read on and on, so that the program never waits for that.
    pub(crate) log: Receiver<String>,
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
        let (mut line, mut before) = (String::new(), String::new());
        while !line.contains("has started") {
            before.push_str(&line);
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "the program ended");
        }
        let started: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = |name: &str| started[name].as_str().unwrap().parse().unwrap();
        let (public, internal) = (address("public"), address("internal"));
        let (told, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                // Most tests do not look.
                told.send(line).ok();
            }
        });
        Self { child, public, internal, before, log: lines }
    }

    pub(crate) fn get(&self, address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends a form to `/token`.
    pub(crate) fn token(&self, form: &str) -> String {
        let mut stream = TcpStream::connect(self.public).unwrap();
        write!(
            stream,
            "POST /token HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// As [`Serving::get`] where the answer need not be text.
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
