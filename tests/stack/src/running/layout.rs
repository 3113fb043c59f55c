//! Where everything is: the programs that a stack runs, and the files of one run.

use std::path::{Path, PathBuf};

use crate::{Part, StackError};

/// The built programs and the project's files that a stack is made of.
#[derive(Debug, Clone)]
pub struct Programs {
    simulator: PathBuf,
    service: PathBuf,
    envoy: PathBuf,
    plugin: PathBuf,
    envoy_folder: PathBuf,
}

impl Programs {
    /// Finds `ib-simulator`, `ib-oauth` and `plugin.wasm` beside the running program, Envoy at `envoy`,
    /// and the folder `envoy/` in the working directory or the nearest folder above it.
    ///
    /// # Errors
    ///
    /// When one of them is missing; the message says how to get it.
    pub fn find(envoy: Option<PathBuf>) -> Result<Self, StackError> {
        let own = std::env::current_exe().map_err(StackError::io("this program's own path"))?;
        let folder = own.parent().unwrap_or(Path::new("."));
        let built = |name: &str| {
            let path = folder.join(name);
            if path.is_file() { Ok(path) } else { Err(missing(&path, "`make build` makes it")) }
        };
        let envoy = envoy.filter(|path| path.is_file()).ok_or_else(|| {
            missing(
                Path::new("Envoy"),
                "set ENVOY to its path; scripts/envoy.sh finds or fetches one",
            )
        })?;
        Ok(Self {
            simulator: built("ib-simulator")?,
            service: built("ib-oauth")?,
            envoy,
            plugin: built("plugin.wasm")?,
            envoy_folder: envoy_folder()?,
        })
    }

    /// The program of a part.
    #[must_use]
    pub fn program(&self, part: Part) -> &Path {
        match part {
            Part::Simulator => &self.simulator,
            Part::Service => &self.service,
            Part::Envoy => &self.envoy,
        }
    }

    /// The compiled filter.
    #[must_use]
    pub fn plugin(&self) -> &Path {
        &self.plugin
    }

    /// The folder with the production file of Envoy and its overlays.
    #[must_use]
    pub fn envoy_folder(&self) -> &Path {
        &self.envoy_folder
    }
}

/// The folder `envoy/` in the working directory or the nearest folder above it.
///
/// # Errors
///
/// When there is none.
pub fn envoy_folder() -> Result<PathBuf, StackError> {
    let here = std::env::current_dir().map_err(StackError::io("the working directory"))?;
    here.ancestors()
        .map(|folder| folder.join("envoy"))
        .find(|folder| folder.join(crate::configuration::envoy::PRODUCTION_FILE).is_file())
        .ok_or_else(|| missing(Path::new("envoy/envoy.yaml"), "start this within the repository"))
}

fn missing(what: &Path, hint: &'static str) -> StackError {
    StackError::NotPrepared { what: what.display().to_string(), hint }
}

/// The files of one run, in a folder that is Envoy's working directory.
#[derive(Debug, Clone)]
pub struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// Makes the folder and those within it.
    ///
    /// # Errors
    ///
    /// When one of them cannot be made.
    pub fn create(folder: PathBuf) -> Result<Self, StackError> {
        let make = |path: &Path| {
            std::fs::create_dir_all(path).map_err(StackError::io(path.display().to_string()))
        };
        make(&folder)?;
        // Everybody's children write absolute paths into each other's configuration.
        let folder = folder.canonicalize().map_err(StackError::io(folder.display().to_string()))?;
        let layout = Self { folder };
        for path in [layout.tls(), layout.secrets(), layout.sds(), layout.folder.join("logs")] {
            make(&path)?;
        }
        Ok(layout)
    }

    /// Starts with empty logs.
    ///
    /// # Errors
    ///
    /// When one of them cannot be written.
    pub fn empty_logs(&self) -> Result<(), StackError> {
        for path in Part::ALL.map(|part| self.log(part)).into_iter().chain([self.access_log()]) {
            std::fs::write(&path, "").map_err(StackError::io(path.display().to_string()))?;
        }
        Ok(())
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The simulator's CA certificate.
    #[must_use]
    pub fn ca_pem(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The service's settings.
    #[must_use]
    pub fn service_settings(&self) -> PathBuf {
        self.folder.join("oauth.yaml")
    }

    /// The service's store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.folder.join("oauth.redb")
    }

    /// Envoy's bootstrap.
    #[must_use]
    pub fn envoy_bootstrap(&self) -> PathBuf {
        self.folder.join("envoy.json")
    }

    /// The compiled filter, where the bootstrap expects it.
    #[must_use]
    pub fn plugin(&self) -> PathBuf {
        self.folder.join("plugin.wasm")
    }

    /// The files that Envoy reads its secrets' whereabouts from.
    #[must_use]
    pub fn sds(&self) -> PathBuf {
        self.folder.join("sds")
    }

    /// The gateway's certificate and key.
    #[must_use]
    pub fn tls(&self) -> PathBuf {
        self.folder.join("tls")
    }

    /// The CA of the gateway's certificate.
    #[must_use]
    pub fn gateway_ca(&self) -> PathBuf {
        self.tls().join("ca.crt")
    }

    /// The key under which the service seals what it stores (base64).
    #[must_use]
    pub fn sealing_key(&self) -> PathBuf {
        self.secrets().join("sealing-key")
    }

    /// The key of the tags that access tokens carry (base64).
    #[must_use]
    pub fn token_tag_key(&self) -> PathBuf {
        self.secrets().join("token-tag-key")
    }

    /// The secret with which the gateway proves itself, as the service reads it.
    #[must_use]
    pub fn gateway_credential(&self) -> PathBuf {
        self.secrets().join("gateway-credential")
    }

    /// The secret of the client of `examples/mcp-server`.
    #[must_use]
    pub fn example_client_secret(&self) -> PathBuf {
        self.secrets().join("example-mcp-server")
    }

    /// The same secret as Envoy sends it: `Bearer <secret>`.
    #[must_use]
    pub fn gateway_authorization(&self) -> PathBuf {
        self.secrets().join("gateway-authorization")
    }

    /// A part's log.
    #[must_use]
    pub fn log(&self, part: Part) -> PathBuf {
        log_file(&self.folder, part)
    }

    /// Envoy's access log.
    #[must_use]
    pub fn access_log(&self) -> PathBuf {
        access_log(&self.folder)
    }

    fn secrets(&self) -> PathBuf {
        self.folder.join("secrets")
    }
}

/// The file that a part's output goes to (for Envoy: its own log, not the access log).
#[must_use]
pub fn log_file(run_directory: &Path, part: Part) -> PathBuf {
    run_directory.join("logs").join(format!("{}.log", part.name()))
}

/// The file that Envoy's standard output goes to, which is its access log.
#[must_use]
pub fn access_log(run_directory: &Path) -> PathBuf {
    run_directory.join("logs").join("access.log")
}

/// The last lines of a log, as far as they are worth showing in an error.
#[must_use]
pub fn tail(log: &Path) -> String {
    const LINES: usize = 15;
    const LINE_CHARACTERS: usize = 400;
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let last = lines.len().saturating_sub(LINES);
    lines
        .into_iter()
        .skip(last)
        .map(|line| format!("    {}", line.chars().take(LINE_CHARACTERS).collect::<String>()))
        .collect::<Vec<_>>()
        .join("\n")
}
