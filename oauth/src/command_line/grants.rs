//! `ib-oauth admin grants`: what operators ask a running service.

use std::{error::Error, io::Write as _, path::PathBuf};

use clap::Subcommand;
use ib_oauth::{Chosen, Remote};

/// What to do with grants.
#[derive(Subcommand)]
pub(crate) enum Grants {
    /// List the living grants of a subject, a client or a platform, one JSON object a line.
    List {
        #[command(flatten)]
        service: Service,
        #[command(flatten)]
        whose: Whose,
    },
    /// Revoke one grant, or all of a subject, a client or a platform. Every gateway refuses their tokens
    /// within 2 seconds.
    Revoke {
        #[command(flatten)]
        service: Service,
        #[command(flatten)]
        which: Which,
    },
}

/// Where the service is.
#[derive(clap::Args)]
pub(crate) struct Service {
    /// The service's internal port.
    #[arg(
        long,
        value_name = "URL",
        env = "IB_OAUTH_ADMIN_URL",
        default_value = "http://127.0.0.1:8082"
    )]
    url: String,
    /// The file that holds a credential of `admin.credentials`.
    #[arg(long, value_name = "FILE", env = "IB_OAUTH_ADMIN_CREDENTIAL_FILE")]
    credential_file: PathBuf,
    /// A CA that is trusted besides the system's, in PEM, where the port speaks TLS.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The operator's certificate and key in one PEM file, where the port asks for one.
    #[arg(long, value_name = "FILE")]
    identity_file: Option<PathBuf>,
}

impl From<Service> for Remote {
    fn from(service: Service) -> Self {
        let Service { url, credential_file, ca_file, identity_file } = service;
        Self { url, credential: credential_file, ca: ca_file, identity: identity_file }
    }
}

/// Whose grants.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// The person, as `sub` has it.
    #[arg(long, value_name = "SUB")]
    subject: Option<String>,
    /// The client's id.
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// The host where the persons logged in.
    #[arg(long, value_name = "HOST")]
    platform: Option<String>,
}

/// Which grants.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// One grant, by the id that `list` has shown.
    #[arg(long, value_name = "ID")]
    grant: Option<String>,
    /// All of a person, as `sub` has it.
    #[arg(long, value_name = "SUB")]
    subject: Option<String>,
    /// All of a client, by its id.
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// All of a platform, by its host.
    #[arg(long, value_name = "HOST")]
    platform: Option<String>,
}

/// The one that was given; the command line demands it.
fn chosen(all: [(&'static str, Option<String>); 4]) -> Result<Chosen, &'static str> {
    all.into_iter()
        .find_map(|(field, value)| Some(Chosen { field, value: value? }))
        .ok_or("name a subject, a client, a platform or a grant")
}

/// Does it.
pub(crate) fn run(command: Grants) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    match command {
        Grants::List { service, whose: Whose { subject, client, platform } } => {
            let all = [
                ("subject", subject),
                ("client_id", client),
                ("platform", platform),
                ("grant", None),
            ];
            let mut printed = Ok(());
            ib_oauth::list_grants(&service.into(), &chosen(all)?, |grant| {
                if printed.is_ok() {
                    printed = writeln!(out, "{grant}");
                }
            })?;
            Ok(printed?)
        }
        Grants::Revoke { service, which: Which { grant, subject, client, platform } } => {
            let all = [
                ("grant", grant),
                ("subject", subject),
                ("client_id", client),
                ("platform", platform),
            ];
            let revoked = ib_oauth::revoke_grants(&service.into(), &chosen(all)?, |so_far| {
                writeln!(std::io::stderr(), "ib-oauth: {so_far} grants revoked so far").ok();
            })?;
            Ok(writeln!(out, "{revoked} grants revoked")?)
        }
    }
}
