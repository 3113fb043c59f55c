//! The containers of the two instances.

use std::env;
use std::process::Command;

use ib_end_to_end::{PATIENCE, eventually};

/// Names the project of docker-compose, as `make test-compose` has started it.
const PROJECT: &str = "IB_COMPOSE";

/// One instance: the id of its container.
pub(crate) struct Instance(String);

impl Instance {
    /// Both of them.
    #[track_caller]
    pub(crate) fn both() -> [Self; 2] {
        let project = env::var(PROJECT).unwrap_or_else(|_| panic!("{PROJECT} is not set"));
        ["service", "service-2"].map(|service| {
            let label =
                |name: &str, value: &str| format!("label=com.docker.compose.{name}={value}");
            let id = docker(&[
                "ps",
                "--all",
                "--quiet",
                "--filter",
                &label("project", &project),
                "--filter",
                &label("service", service),
            ]);
            assert!(!id.is_empty(), "there is no container of {service} in {project}");
            Self(id)
        })
    }

    /// Ends it in peace and starts it again.
    #[track_caller]
    pub(crate) fn restart(&self) {
        docker(&["restart", "--time", "40", &self.0]);
    }

    /// Kills it, as a crash would.
    #[track_caller]
    pub(crate) fn kill(&self) {
        docker(&["kill", "--signal", "KILL", &self.0]);
    }

    /// Starts it again.
    #[track_caller]
    pub(crate) fn start(&self) {
        docker(&["start", &self.0]);
    }

    /// Waits until its own health check says that it is ready.
    #[track_caller]
    pub(crate) fn await_health(&self) {
        eventually("the instance to be healthy", PATIENCE, || {
            let health = docker(&["inspect", "--format", "{{.State.Health.Status}}", &self.0]);
            (health == "healthy").then_some(())
        });
    }
}

/// What a command of Docker printed.
#[track_caller]
fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "docker {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
