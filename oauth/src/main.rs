//! The command line of the OAuth service.
#![forbid(unsafe_code)]

mod command_line;

use std::{error::Error, io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use command_line::{
    copies::{Backup, Migrate, Restore},
    credentials::Credentials,
    grants::Grants,
};
use ib_oauth::{SeedOptions, Settings, StoredKind};

/// The OAuth 2.0 service of ib-gateway.
///
/// It logs people in at IntelligenceBank, issues tokens for their sessions, and tells the gateway
/// what a token stands for. Every setting of the file may be overridden by the environment:
/// IB_OAUTH__SECTION__FIELD, such as IB_OAUTH__TOKENS__CODE_SECONDS=30; an element of a list by its
/// number, such as IB_OAUTH__CLIENTS__0__NAME; whole lists and maps as JSON.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT, then finish what was accepted. SIGHUP reads the files of keys
    /// and credentials again; SIGUSR1 rotates the keys in the store. The log goes to standard error as
    /// JSON lines.
    Serve(Config),
    /// Read the settings and the files that they name, say what is wrong, and end: 0 when all is
    /// well, 1 when not.
    Check(Config),
    /// Work on the store.
    #[command(subcommand)]
    Admin(Admin),
}

#[derive(Subcommand)]
enum Admin {
    /// Write invented grants into the store, for benchmarks, and their access tokens into a file, while
    /// no service runs on it. The settings must have a `development` section.
    Seed(Seed),
    /// Make keys for files; list and rotate keys that the service keeps in its store.
    #[command(subcommand)]
    Keys(Keys),
    /// Make the tables of the engine dynamodb. What is there already is left as it is, so it may be
    /// done again.
    CreateTables(Config),
    /// List and revoke grants by asking a running service.
    #[command(subcommand)]
    Grants(Grants),
    /// Show machine credentials, and acquire another token for one, by asking a running service.
    #[command(subcommand)]
    Credentials(Credentials),
    /// Write everything in the store to a file, sealed as it is. No service may have an embedded store
    /// open; with the other engines services may run, and what they write meanwhile may be left out.
    Backup(Backup),
    /// Read a backup to its end: is it whole, and are these its sealing keys?
    VerifyBackup(Restore),
    /// Write a backup into an empty store, and read it again to prove it. No service may run on it.
    Restore(Restore),
    /// Copy everything to the empty store of other settings, such as of another engine, and compare.
    /// No service may run on either.
    Migrate(Migrate),
    /// Give the space of removed records back to the file system. No service may have the store open.
    Compact(Config),
}

#[derive(Subcommand)]
enum Keys {
    /// Write a new key into a new file, readable by its owner alone.
    Generate {
        /// What the key is for.
        #[arg(long)]
        kind: FileKind,
        /// The file, which must not exist.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Show the keys in the store, oldest first, with what each does; times are in Unix seconds. The
    /// keys themselves are not shown.
    List(OfStore),
    /// Publish a new key. It issues when `publish_seconds` have passed, and instances that share the
    /// store notice it within 5 seconds. An embedded store (redb) is open to its service alone: send
    /// that SIGUSR1 in place of this.
    Rotate(OfStore),
}

#[derive(clap::Args)]
struct OfStore {
    #[command(flatten)]
    config: Config,
    /// Which keys.
    #[arg(long)]
    kind: StoreKind,
}

#[derive(Clone, Copy, ValueEnum)]
enum FileKind {
    /// For signing.keys: it signs JWT access tokens.
    Signing,
    /// For token_tags.keys: it tags opaque access tokens.
    TokenTags,
    /// For sealing.keys: it seals what is stored.
    Sealing,
}

#[derive(Clone, Copy, ValueEnum)]
enum StoreKind {
    /// They sign JWT access tokens.
    Signing,
    /// They tag opaque access tokens.
    TokenTags,
}

impl From<StoreKind> for StoredKind {
    fn from(kind: StoreKind) -> Self {
        match kind {
            StoreKind::Signing => Self::Signing,
            StoreKind::TokenTags => Self::TokenTags,
        }
    }
}

#[derive(clap::Args)]
struct Seed {
    #[command(flatten)]
    config: Config,
    /// How many grants.
    #[arg(long, value_name = "N")]
    grants: usize,
    /// Where the access tokens go, one a line; the file is replaced.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Where the refresh tokens go, one a line; the file is replaced.
    #[arg(long, value_name = "FILE")]
    refresh_tokens: Option<PathBuf>,
    /// Where authorization codes go, one a line, one beside each grant; the file is replaced. They are
    /// exchanged with redirect URI http://127.0.0.1/callback and the verifier of RFC 7636, appendix B.
    #[arg(long, value_name = "FILE")]
    codes: Option<PathBuf>,
    /// The registered client that the grants are for.
    #[arg(long, value_name = "ID", default_value = "mcp-public-client")]
    client: String,
    /// The platform that the sessions are said to be of.
    #[arg(long, value_name = "HOST", default_value = "company.intelligencebank.com")]
    platform: String,
    /// The address of its API.
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,
}

#[derive(clap::Args)]
struct Config {
    /// The settings, in YAML; oauth/example.yaml explains each.
    #[arg(long, value_name = "FILE", env = "IB_OAUTH_CONFIG")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Serve(Config { config }) => serve(&config),
        Command::Check(Config { config }) => check(&config),
        Command::Admin(Admin::Seed(arguments)) => seed(arguments),
        Command::Admin(Admin::Keys(command)) => keys(command),
        Command::Admin(Admin::CreateTables(Config { config })) => create_tables(&config),
        Command::Admin(Admin::Grants(command)) => command_line::grants::run(command),
        Command::Admin(Admin::Credentials(command)) => command_line::credentials::run(command),
        Command::Admin(Admin::Backup(arguments)) => command_line::copies::backup(&arguments),
        Command::Admin(Admin::VerifyBackup(arguments)) => command_line::copies::verify(&arguments),
        Command::Admin(Admin::Restore(arguments)) => command_line::copies::restore(&arguments),
        Command::Admin(Admin::Migrate(arguments)) => command_line::copies::migrate(&arguments),
        Command::Admin(Admin::Compact(config)) => command_line::copies::compact(&config),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            // Nothing is left to be done where standard error is closed.
            writeln!(std::io::stderr(), "ib-oauth: {cause}").ok();
            ExitCode::FAILURE
        }
    }
}

fn serve(config: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let settings = Settings::load(config)?;
    let telemetry = ib_oauth::start_log(&settings)?;
    let outcome = ib_oauth::serve(settings);
    telemetry.end();
    Ok(outcome?)
}

fn check(config: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let settings = Settings::load(config)?;
    for warning in settings.warnings() {
        writeln!(std::io::stderr(), "ib-oauth: warning: {warning}")?;
    }
    writeln!(std::io::stdout(), "{}: the settings can be used", config.display())?;
    Ok(())
}

fn seed(arguments: Seed) -> Result<(), Box<dyn Error>> {
    let Seed { config, grants, output, refresh_tokens, codes, client, platform, api_url } =
        arguments;
    let settings = Settings::load(&config.config)?;
    let options = SeedOptions { grants, output, refresh_tokens, codes, client, platform, api_url };
    ib_oauth::seed(settings, &options, |done| {
        writeln!(std::io::stderr(), "ib-oauth: {done} of {grants} grants").ok();
    })?;
    let output = options.output.display();
    writeln!(std::io::stdout(), "{grants} grants; their access tokens are in {output}")?;
    Ok(())
}

fn create_tables(config: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let settings = Settings::load(config)?;
    ib_oauth::create_tables(&settings, |step| {
        writeln!(std::io::stderr(), "ib-oauth: {step}").ok();
    })?;
    writeln!(std::io::stdout(), "the tables can be used")?;
    Ok(())
}

fn keys(command: Keys) -> Result<(), Box<dyn Error>> {
    let listed = match command {
        Keys::Generate { kind, output } => {
            let kind = match kind {
                FileKind::Signing => Some(StoredKind::Signing),
                FileKind::TokenTags => Some(StoredKind::TokenTags),
                FileKind::Sealing => None,
            };
            ib_oauth::generate_key(kind, &output)?;
            writeln!(std::io::stdout(), "a new key is in {}", output.display())?;
            return Ok(());
        }
        Keys::List(OfStore { config, kind }) => {
            ib_oauth::list_keys(Settings::load(&config.config)?, kind.into())?
        }
        Keys::Rotate(OfStore { config, kind }) => {
            ib_oauth::rotate_keys(Settings::load(&config.config)?, kind.into())?
        }
    };
    for key in listed {
        writeln!(std::io::stdout(), "{key}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Arguments;

    #[test]
    fn help_explains_every_command_and_every_argument() {
        fn check(command: &clap::Command) {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} is not explained");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{name}: {argument} is not explained");
            }
            command.get_subcommands().for_each(check);
        }
        let mut command = Arguments::command();
        command.build();
        check(&command);
    }
}
