//! Another instance of the service beside the one of a stack.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};

use ib_end_to_end::{Connection, Deployment, PATIENCE, Request, built, eventually};
use serde_json::{Value, json};

/// It ends with this value.
pub(crate) struct SecondInstance {
    child: Child,
}

impl SecondInstance {
    /// Starts it with the stack's settings, at a public and an internal port of its own, and waits until it
    /// is ready.
    #[track_caller]
    pub(crate) fn start(gateway: &Deployment, [public, internal]: [u16; 2]) -> Self {
        let folder = gateway.stack().addresses().run_directory.clone();
        let settings = fs::read_to_string(folder.join("oauth.yaml")).unwrap();
        let mut settings: Value = serde_saphyr::from_str(&settings).unwrap();
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        settings["listen"] = json!({ "public": at(public), "internal": at(internal) });
        let file = folder.join("oauth-second.yaml");
        fs::write(&file, serde_saphyr::to_string(&settings).unwrap()).unwrap();
        let log = folder.join("logs").join("service-second.log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = Command::new(built("ib-oauth"))
            .args(["serve", "--config"])
            .arg(&file)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut instance = Self { child };
        eventually("the second instance to be ready", PATIENCE, || {
            let ended = instance.child.try_wait().unwrap();
            assert!(ended.is_none(), "the second instance ended: {ended:?}");
            let address = at(internal);
            let answer = Connection::open(address)
                .and_then(|mut connection| {
                    connection.exchange(&Request::get("/readyz"), &address.to_string())
                })
                .ok()?;
            (answer.status == 200).then_some(())
        });
        instance
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn await_end(&mut self) -> ExitStatus {
        eventually("the second instance to end", PATIENCE, || self.child.try_wait().unwrap())
    }
}

impl Drop for SecondInstance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
