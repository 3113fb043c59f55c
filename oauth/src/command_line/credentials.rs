//! `ib-oauth admin credentials`: machine credentials, by asking a running service.

use std::{error::Error, io::Write as _};

use clap::Subcommand;

use super::grants::Service;

/// What to do with machine credentials.
#[derive(Subcommand)]
pub(crate) enum Credentials {
    /// Show each with its state, ages, next refresh and last error, one JSON object a line. No key and
    /// no token is shown.
    List {
        #[command(flatten)]
        service: Service,
    },
    /// Acquire another token for one of them now. Where that fails the present one stays.
    Refresh {
        #[command(flatten)]
        service: Service,
        /// The credential, by its name in the settings.
        #[arg(long, value_name = "NAME")]
        name: String,
    },
}

/// Does it.
pub(crate) fn run(command: Credentials) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    match command {
        Credentials::List { service } => {
            let mut printed = Ok(());
            ib_oauth::list_credentials(&service.into(), |credential| {
                if printed.is_ok() {
                    printed = writeln!(out, "{credential}");
                }
            })?;
            Ok(printed?)
        }
        Credentials::Refresh { service, name } => {
            let credential = ib_oauth::refresh_credential(&service.into(), &name)?;
            Ok(writeln!(out, "{credential}")?)
        }
    }
}
