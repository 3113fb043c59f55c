//! Invented grants, for benchmarks.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::Arc,
};

use tokio::task::JoinSet;

use super::make_anew;
use crate::{
    clock::{Clock as _, SystemClock},
    error::Error,
    feed::Feed,
    grants::{Grants, MOST_IN_ONE_STEP, Seed, Seeded},
    hosts::{PlatformError, api_host, platform_host},
    keys::KeyKeeper,
    metrics::Metrics,
    records::{KeysError, Records},
    settings::Settings,
    store::{self, StoreError},
};

/// Steps that wait for the store at the same time: those of one flush, and the next.
const STEPS_AT_ONCE: usize = 16_384;
/// How often the progress is told, in grants.
const PROGRESS: usize = 10_000;

/// What to seed.
#[derive(Debug)]
pub struct SeedOptions {
    /// How many grants.
    pub grants: usize,
    /// Where the access tokens go, one a line. The file is made anew, for its owner alone. What is no
    /// file (a symbolic link, a device) is refused.
    pub output: PathBuf,
    /// Where the refresh tokens go, one a line, likewise.
    pub refresh_tokens: Option<PathBuf>,
    /// Where authorization codes go, one a line, likewise: one code beside each grant. Their redirect
    /// URI is `http://127.0.0.1/callback`, their verifier that of RFC 7636, appendix B.
    pub codes: Option<PathBuf>,
    /// The registered client that the grants are for.
    pub client: String,
    /// The host of the platform that the sessions are said to be of.
    pub platform: String,
    /// The address of its API.
    pub api_url: Option<String>,
}

/// Why nothing was seeded, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The settings are not those of a development set-up.
    #[error("development: seeding invents sessions, so it needs settings with this section")]
    NotInDevelopment,
    /// No such client.
    #[error("--client: this client is not registered")]
    UnknownClient,
    /// The platform's host is not one that may be logged in at.
    #[error("--platform: {0}")]
    Platform(String),
    /// The API's address is not one that a platform may name.
    #[error("--api-url: must be https on an allowed host, without a path and a port")]
    ApiUrl,
    /// An output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// The store cannot be used.
    #[error("the store failed: {0}")]
    Store(String),
}

impl From<StoreError> for SeedError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause.to_string())
    }
}

impl From<KeysError> for SeedError {
    fn from(cause: KeysError) -> Self {
        Self::Store(cause.to_string())
    }
}

impl From<Error> for SeedError {
    fn from(cause: Error) -> Self {
        Self::Store(cause.description().to_owned())
    }
}

impl From<PlatformError> for SeedError {
    fn from(cause: PlatformError) -> Self {
        Self::Platform(cause.to_string())
    }
}

/// Writes invented grants straight into the store, which no service may have open: each a session
/// with an invented id, an access token and a refresh token. `progress` hears how many there are, now and then.
///
/// # Errors
///
/// [`SeedError`]. Grants that were written before it stay.
pub fn seed(
    settings: Settings,
    options: &SeedOptions,
    progress: impl FnMut(usize),
) -> Result<(), SeedError> {
    let seed = check(&settings, options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(settings, seed, options, progress))
}

fn check(settings: &Settings, options: &SeedOptions) -> Result<Seed, SeedError> {
    if !settings.in_development {
        return Err(SeedError::NotInDevelopment);
    }
    let client = settings.clients.get(&options.client).ok_or(SeedError::UnknownClient)?;
    let ib = &settings.intelligencebank;
    let usable = |url: &String| api_host(url, &ib.api_hosts).is_some();
    if !options.api_url.as_ref().is_none_or(usable) {
        return Err(SeedError::ApiUrl);
    }
    Ok(Seed {
        client_id: client.id.clone(),
        scope: client.scopes.join(" "),
        platform_host: platform_host(&options.platform, &ib.platform_hosts)?,
        api_url: options.api_url.clone(),
    })
}

async fn run(
    settings: Settings,
    seed: Seed,
    options: &SeedOptions,
    mut progress: impl FnMut(usize),
) -> Result<(), SeedError> {
    let store = store::open_for_filling(&settings.store).await?;
    let settings = Arc::new(settings);
    let clock = Arc::new(SystemClock::new());
    let (sealer, metrics) = (Arc::clone(&settings.sealer), Arc::new(Metrics::new()));
    let records = Arc::new(Records::new(store, sealer, Arc::clone(&metrics)));
    records.prove_keys(clock.unix_seconds()).await?;
    KeyKeeper::new(Arc::clone(&records), Arc::clone(&settings))
        .refresh(clock.unix_seconds())
        .await
        .map_err(|cause| SeedError::Store(cause.to_string()))?;
    let feed = Arc::new(Feed::new(Arc::clone(&records), clock.clone(), Arc::clone(&settings)));
    let grants = Arc::new(Grants::new(records, feed, clock, settings, metrics));
    let mut outputs = Outputs::make(options)?;
    let with_codes = outputs.codes.is_some();
    let seed = Arc::new(seed);
    let mut steps = JoinSet::new();
    let (mut begun, mut done) = (0, 0);
    loop {
        while steps.len() < STEPS_AT_ONCE && begun < options.grants {
            let count = MOST_IN_ONE_STEP.min(options.grants - begun);
            begun += count;
            let (grants, seed) = (Arc::clone(&grants), Arc::clone(&seed));
            steps.spawn(async move { grants.seed(&seed, count, with_codes).await });
        }
        let Some(step) = steps.join_next().await else { break };
        let seeded = step.map_err(|_| SeedError::Store("a step has died".to_owned()))??;
        outputs.write(&seeded)?;
        let before = done;
        done += seeded.len();
        if before / PROGRESS != done / PROGRESS {
            progress(done);
        }
    }
    outputs.flush()?;
    Ok(())
}

/// The files that seeded tokens go to.
struct Outputs {
    access_tokens: BufWriter<File>,
    refresh_tokens: Option<BufWriter<File>>,
    codes: Option<BufWriter<File>>,
}

impl Outputs {
    fn make(options: &SeedOptions) -> io::Result<Self> {
        let optional = |path: &Option<PathBuf>| {
            path.as_deref().map(|path| make_anew(path).map(BufWriter::new)).transpose()
        };
        Ok(Self {
            access_tokens: BufWriter::new(make_anew(&options.output)?),
            refresh_tokens: optional(&options.refresh_tokens)?,
            codes: optional(&options.codes)?,
        })
    }

    fn write(&mut self, seeded: &[Seeded]) -> io::Result<()> {
        for one in seeded {
            writeln!(self.access_tokens, "{}", one.access_token.expose())?;
            if let Some(file) = &mut self.refresh_tokens {
                writeln!(file, "{}", one.refresh_token.expose())?;
            }
            if let (Some(file), Some(code)) = (&mut self.codes, &one.code) {
                writeln!(file, "{}", code.expose())?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.access_tokens.flush()?;
        self.refresh_tokens.iter_mut().chain(&mut self.codes).try_for_each(Write::flush)
    }
}
