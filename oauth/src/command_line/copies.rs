//! `ib-oauth admin backup`, `restore`, `verify-backup`, `migrate` and `compact`.

use std::{
    error::Error,
    io::Write as _,
    path::{Path, PathBuf},
};

use ib_oauth::{Copied, Progress, Settings};

use crate::Config;

/// What to back up, and where to.
#[derive(clap::Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    config: Config,
    /// Where the backup goes. A file of this name is replaced when the new one is whole.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// What to restore.
#[derive(clap::Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    config: Config,
    /// The backup.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
}

/// From where, and to where.
#[derive(clap::Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    config: Config,
    /// Settings whose store is the target: empty, and with the same sealing keys.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

pub(crate) fn backup(arguments: &Backup) -> Result<(), Box<dyn Error>> {
    let settings = load(&arguments.config)?;
    let records = ib_oauth::backup(&settings, &arguments.output, tell)?;
    let output = arguments.output.display();
    Ok(writeln!(std::io::stdout(), "{records} records are in {output}")?)
}

pub(crate) fn restore(arguments: &Restore) -> Result<(), Box<dyn Error>> {
    let copied = ib_oauth::restore(&load(&arguments.config)?, &arguments.input, tell)?;
    writeln!(std::io::stdout(), "{} records are restored and verified", copied.records)?;
    tell_unknown(copied)
}

pub(crate) fn verify(arguments: &Restore) -> Result<(), Box<dyn Error>> {
    let copied = ib_oauth::verify_backup(&load(&arguments.config)?, &arguments.input, tell)?;
    let (input, records) = (arguments.input.display(), copied.records);
    writeln!(
        std::io::stdout(),
        "{input}: whole, {records} records, a service starts with these keys"
    )?;
    tell_unknown(copied)
}

pub(crate) fn migrate(arguments: &Migrate) -> Result<(), Box<dyn Error>> {
    let (from, to) = (load(&arguments.config)?, read(&arguments.to)?);
    let copied = ib_oauth::migrate(&from, &to, tell)?;
    writeln!(std::io::stdout(), "{} records are in the new store and verified", copied.records)?;
    tell_unknown(copied)
}

pub(crate) fn compact(config: &Config) -> Result<(), Box<dyn Error>> {
    let (before, after) = ib_oauth::compact(&load(config)?)?;
    Ok(writeln!(std::io::stdout(), "the file had {before} bytes and has {after}")?)
}

fn load(config: &Config) -> Result<Settings, Box<dyn Error>> {
    read(&config.config)
}

fn read(path: &Path) -> Result<Settings, Box<dyn Error>> {
    Ok(Settings::load(path)?)
}

fn tell_unknown(Copied { of_unknown_keys, .. }: Copied) -> Result<(), Box<dyn Error>> {
    if of_unknown_keys > 0 {
        writeln!(
            std::io::stdout(),
            "{of_unknown_keys} of them were sealed under keys that are not in sealing.keys: \
             with these keys they are gone"
        )?;
    }
    Ok(())
}

fn tell(Progress { step, records }: Progress) {
    // Nothing is left to be done where standard error is closed.
    writeln!(std::io::stderr(), "ib-oauth: {records} records {step}").ok();
}
