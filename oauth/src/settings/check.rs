//! Checking the settings: everything that is wrong is found at once, each with its field.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use url::Url;

use super::{
    Environment, Issuer, KeyFiles, KeySettings, Problem, Resources, SessionSettings, Settings,
    SettingsError, TokenSettings,
    file::{self, File},
    secrets,
};
use crate::{hosts::HostPattern, live::Live};

mod audit;
mod client_sources;
mod clients;
mod console;
mod intelligencebank;
mod internal_tls;
mod keys;
mod limits;
mod machine_credentials;
mod server;
mod signing;
mod store;
mod telemetry;

const DAY: u64 = 24 * 3_600;

/// Collects problems, so that one start tells all of them.
#[derive(Default)]
struct Problems {
    errors: Vec<Problem>,
    /// What does not keep the service from starting.
    warnings: Vec<Problem>,
}

impl Problems {
    fn add(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.errors.push(Problem { field: field.into(), reason: reason.into() });
    }

    fn warn(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.warnings.push(Problem { field: field.into(), reason: reason.into() });
    }

    /// Warns where others than its owner can read the file of a secret.
    fn exposed(&mut self, field: &str, path: &Path) {
        if secrets::is_exposed(path) {
            self.warn(field, format!("{} is readable by its group or others", path.display()));
        }
    }

    fn range(&mut self, field: &str, value: u64, allowed: RangeInclusive<u64>) -> u64 {
        if !allowed.contains(&value) {
            let (low, high) = (allowed.start(), allowed.end());
            self.add(field, format!("must be between {low} and {high}"));
        }
        value
    }

    fn seconds(&mut self, field: &str, value: u64, allowed: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.range(field, value, allowed))
    }

    fn milliseconds(&mut self, field: &str, value: u64, allowed: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.range(field, value, allowed))
    }

    fn bytes(&mut self, field: &str, value: u64, allowed: RangeInclusive<u64>) -> usize {
        usize::try_from(self.range(field, value, allowed)).unwrap_or(usize::MAX)
    }
}

pub(super) fn check(file: File, environment: &Environment) -> Result<Settings, SettingsError> {
    let mut problems = Problems::default();
    let found = &mut problems;

    let in_development = file.development.is_some();
    if let Some(development) = &file.development {
        warn_of(development, found);
    }
    let issuer = issuer(&file.issuer, in_development, found);
    let resources = resources(&issuer, file.resource.as_deref(), file.additional_resources, found);
    if let Err(cause) = crate::telemetry::parse_filter(&file.log) {
        found.add("log", cause);
    }
    if file.listen.public == file.listen.internal && file.listen.public.port() != 0 {
        found.add("listen.internal", "must differ from listen.public");
    }
    let store = store::check(file.store, found);
    let sealing = keys::read("sealing.keys", &file.sealing.keys, 32, found);
    let token_tags = keys::token_tags(&file.token_tags, &sealing, found);
    let signing = signing::check(file.signing.as_ref(), file.tokens.access_token_format, found);
    let files = KeyFiles {
        sealing: keys::names(&sealing),
        token_tags: token_tags.names,
        signing: signing.names,
    };
    let sealer = keys::sealer(sealing);
    let gateway_credentials = keys::gateway_credentials(&file.gateway.credentials, found);
    let admin_credentials =
        keys::admin_credentials(&file.admin.credentials, &gateway_credentials, found);
    // Also of those that are refused, so that each fault is told once.
    let written = file.machine_credentials.credentials.iter();
    let credential_names: Vec<_> = written.map(|credential| credential.name.clone()).collect();
    let intelligencebank = intelligencebank::check(file.intelligencebank, file.development, found);
    let tokens = tokens(&file.tokens, found);
    let sessions = sessions(&file.sessions, found);
    let server = server::check(&file.server, found);
    let limits = limits::check(&file.limits, found);
    let internal_tls = file.internal_tls.map(|file| internal_tls::check(file, found));
    let audit = audit::check(file.audit, found);
    let telemetry = telemetry::check(file.telemetry, found);
    if intelligencebank.propagate_trace && telemetry.otlp_endpoint.is_none() {
        let reason = "needs telemetry.otlp_endpoint: without it there are no spans to speak of";
        found.add("intelligencebank.propagate_trace", reason);
    }
    let machine_credentials = machine_credentials::check(
        file.machine_credentials,
        environment,
        &intelligencebank.api_hosts,
        found,
    );
    let console = console::check(file.console, &issuer, found);
    let console_enabled = console.is_some();
    let clients = clients::check(file.clients, console, &credential_names, found);
    let registration =
        client_sources::registration(file.registration, tokens.refresh_token_seconds, found);
    let client_documents = client_sources::documents(file.client_documents, found);

    match sealer {
        Some(sealer) if problems.errors.is_empty() => Ok(Settings {
            issuer,
            public_address: file.listen.public,
            internal_address: file.listen.internal,
            log: file.log,
            store,
            sealer: Arc::new(sealer),
            token_tags: Live::new(token_tags.keys),
            signing: Live::new(signing.keys),
            gateway_credentials: Live::new(gateway_credentials),
            keys: KeySettings {
                settings_file: PathBuf::new(),
                stored_token_tags: token_tags.stored,
                stored_signing: signing.stored,
                jwks_seconds: signing.jwks_seconds,
                signs: file.signing.is_some(),
                files: Live::new(files),
            },
            admin_credentials: Live::new(admin_credentials),
            resources,
            intelligencebank,
            tokens,
            sessions,
            server,
            audit,
            telemetry,
            limits,
            internal_tls,
            clients,
            console_enabled,
            registration,
            client_documents,
            machine_credentials,
            in_development,
            warnings: problems.warnings,
        }),
        _ => Err(SettingsError(problems.errors)),
    }
}

fn warn_of(development: &file::Development, found: &mut Problems) {
    found.warn("development", "must be absent in production: it also allows an http issuer");
    if development.allow_private_addresses {
        found.warn("development.allow_private_addresses", "platforms may be on private addresses");
    }
    if !development.resolve.is_empty() {
        let hosts: Vec<_> = development.resolve.keys().map(String::as_str).collect();
        found.warn("development.resolve", format!("replaces DNS for {}", hosts.join(", ")));
    }
}

fn issuer(text: &str, in_development: bool, found: &mut Problems) -> Issuer {
    let mut add = |reason: &str| found.add("issuer", reason);
    let mut issuer = Issuer { url: text.to_owned(), path: String::new(), origin: text.to_owned() };
    let Ok(url) = Url::parse(text) else {
        add("must be an absolute URL");
        return issuer;
    };
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    match url.scheme() {
        "https" => {}
        "http" if loopback || in_development => {}
        "http" => add("must be https; http is for loopback hosts and development"),
        _ => add("must be an https URL"),
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if url.origin().ascii_serialization() + &path != text {
        add(
            "must be written in its normal form: lower-case host, no default port, no user, query, \
             fragment or trailing slash",
        );
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !path.is_empty()
        && !path
            .split('/')
            .skip(1)
            .all(|part| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain))
    {
        add(
            "may have a path of letters, digits and -._~ alone, no part of it beginning with a dot",
        );
    }
    issuer.origin = url.origin().ascii_serialization();
    issuer.path = path;
    issuer
}

fn resources(
    issuer: &Issuer,
    default: Option<&str>,
    additional: Vec<String>,
    found: &mut Problems,
) -> Resources {
    let default = default.map_or_else(|| format!("{}/proxy/", issuer.url), str::to_owned);
    let path = default.strip_prefix(&issuer.origin);
    if !path.is_some_and(|path| path.starts_with('/') && !path.contains(['?', '#', '\\', ' '])) {
        found.add("resource", "must be a URL of the issuer's origin, without query and fragment");
    }
    for (position, resource) in additional.iter().enumerate() {
        let usable =
            Url::parse(resource).is_ok_and(|url| url.has_host() && url.fragment().is_none());
        if !usable {
            let field = format!("additional_resources[{position}]");
            found.add(field, "must be an absolute URL without a fragment");
        }
    }
    Resources { default, additional, issuer: issuer.clone() }
}

fn hosts(field: &str, patterns: &[String], found: &mut Problems) -> Vec<HostPattern> {
    let mut good = Vec::new();
    for (position, pattern) in patterns.iter().enumerate() {
        match HostPattern::parse(pattern) {
            Ok(pattern) => good.push(pattern),
            Err(reason) => found.add(format!("{field}[{position}]"), reason),
        }
    }
    good
}

fn tokens(file: &file::Tokens, found: &mut Problems) -> TokenSettings {
    if file.include_sid {
        found.warn(
            "tokens.include_sid",
            "clients get the live session id, which is good without a token",
        );
    }
    TokenSettings {
        access_token_format: file.access_token_format,
        access_token_seconds: found.range(
            "tokens.access_token_seconds",
            file.access_token_seconds,
            60..=DAY,
        ),
        refresh_token_seconds: found.range(
            "tokens.refresh_token_seconds",
            file.refresh_token_seconds,
            60..=366 * DAY,
        ),
        // The old bridge's documents allow 600 at most.
        code_seconds: found.range("tokens.code_seconds", file.code_seconds, 5..=600),
        refresh_grace_seconds: found.range(
            "tokens.refresh_grace_seconds",
            file.refresh_grace_seconds,
            0..=60,
        ),
        include_sid: file.include_sid,
    }
}

fn sessions(file: &file::Sessions, found: &mut Problems) -> SessionSettings {
    SessionSettings {
        refresh_window_seconds: found.range(
            "sessions.refresh_window_seconds",
            file.refresh_window_seconds,
            // Shorter than the shortest session, which is an hour.
            1..=3_599,
        ),
        default_period_hours: found.range(
            "sessions.default_period_hours",
            file.default_period_hours,
            1..=120,
        ),
        maximum_refresh_attempts: found.range(
            "sessions.maximum_refresh_attempts",
            file.maximum_refresh_attempts,
            1..=1_000,
        ),
        renewal_spacing_seconds: found.range(
            "sessions.renewal_spacing_seconds",
            file.renewal_spacing_seconds,
            30..=3_600,
        ),
    }
}
