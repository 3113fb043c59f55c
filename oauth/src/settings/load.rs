//! Reading the settings: a YAML file, then the environment over it.

use std::{collections::HashMap, ffi::OsString, path::Path};

use config::{Config, FileFormat, Value};
use ib_contract::Secret;

use super::{
    Problem,
    file::File,
    strict::{ENVIRONMENT, Strict},
};

/// What every variable begins with.
const PREFIX: &str = "IB_OAUTH__";
/// The sections in which nobody writes a secret or the name of its file, but for a password.
const WITHOUT_SECRETS: [&str; 15] = [
    "issuer",
    "listen",
    "log",
    "resource",
    "additional_resources",
    "store",
    "intelligencebank",
    "tokens",
    "sessions",
    "server",
    "audit",
    "telemetry",
    "limits",
    "development",
    "client_documents",
];
/// Highest number of a list's element that a variable may name: the list is made that long.
const HIGHEST_INDEX: usize = 999;
/// Most parts of a variable's name. No field lies deeper.
const MOST_PARTS: usize = 8;

/// How the variables end that hold the address and the keys of a machine credential, and the name of one
/// that is for all of them.
const OF_MACHINE_CREDENTIALS: [&str; 5] =
    ["_API_URL", "_API_KEY", "_INTEGRATOR_ID", "_SECRET_KEY", "TOKEN_REFRESH_BUFFER_MINUTES"];

/// The variables that may belong to machine credentials. Which do, the settings say.
#[derive(Default)]
pub(super) struct Environment(HashMap<String, Secret>);

impl Environment {
    /// Those among all of the process. An empty one counts as absent, and so does one that is not UTF-8,
    /// which no key is.
    pub(super) fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let readable = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| OF_MACHINE_CREDENTIALS.iter().any(|end| name.ends_with(end)))
            .filter(|(_, value)| !value.is_empty());
        Self(readable.map(|(name, value)| (name, Secret::new(value))).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }
}

/// The variables that are ours, among all of the process.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, Problem> {
    let ours = variables
        .into_iter()
        .filter(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    ours.map(|(name, value)| match (name.into_string(), value.into_string()) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        (Ok(name), Err(_)) => {
            Err(Problem { field: name, reason: "its value is not UTF-8".to_owned() })
        }
        (Err(name), _) => Err(Problem {
            field: name.to_string_lossy().into_owned(),
            reason: "its name is not UTF-8".to_owned(),
        }),
    })
    .collect()
}

/// Reads the file at `path` and lays `environment` over it.
pub(super) fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<File, Problem> {
    let text = std::fs::read_to_string(path).map_err(|cause| Problem {
        field: path.display().to_string(),
        reason: format!("cannot be read: {cause}"),
    })?;
    parse(&text, environment)
}

/// The same for a text.
pub(super) fn parse(
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<File, Problem> {
    let mut builder = Config::builder().add_source(config::File::from_str(text, FileFormat::Yaml));
    for (name, value) in environment {
        let Some(field) = name.strip_prefix(PREFIX) else { continue };
        let refused = |reason: &str| Problem { field: name.clone(), reason: reason.to_owned() };
        let path = field_path(field).map_err(refused)?;
        let value = read_value(value).map_err(refused)?;
        builder = builder
            .set_override(path, value)
            .map_err(|cause| Problem { field: name, reason: cause.to_string() })?;
    }
    let config = builder.build().map_err(|cause| {
        let field = "settings".to_owned();
        Problem { reason: without_secrets(&field, cause.to_string()), field }
    })?;
    serde_path_to_error::deserialize(Strict(config.cache)).map_err(|error| {
        let field = error.path().to_string();
        let reason = error.into_inner().to_string();
        Problem { reason: without_secrets(&field, reason), field }
    })
}

/// Where a secret may have been written by mistake in place of its file, what was found there is not
/// repeated. That is everywhere but in sections that name no secret.
fn without_secrets(field: &str, reason: String) -> String {
    let section = field.split(['.', '[']).next().unwrap_or_default();
    let quotes = reason.contains("invalid type") || reason.contains("invalid value");
    let has_secret = !WITHOUT_SECRETS.contains(&section) || field.contains("password");
    if quotes && has_secret {
        return "has the wrong form".to_owned();
    }
    reason
}

/// `TOKENS__CODE_SECONDS` is `tokens.code_seconds`, `CLIENTS__0__NAME` is `clients[0].name`.
fn field_path(name: &str) -> Result<String, &'static str> {
    let name = name.to_ascii_lowercase();
    if name.split("__").count() > MOST_PARTS {
        return Err("names no field: it has too many parts");
    }
    let mut path = String::new();
    for part in name.split("__") {
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err("names no field: its parts are letters, digits and underscores");
        }
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            let index = part.parse().ok().filter(|index: &usize| *index <= HIGHEST_INDEX);
            let index = index.ok_or("names no element of a list: the highest number is 999")?;
            path.push_str(&format!("[{index}]"));
            continue;
        }
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(part);
    }
    Ok(path)
}

/// Lists and maps are written as JSON; everything else is text, which is read as its field's type.
fn read_value(text: String) -> Result<Value, &'static str> {
    if text.starts_with(['[', '{']) {
        // The parser's message may quote the value.
        return serde_json::from_str(&text).map_err(|_| "is not a JSON list or map");
    }
    Ok(Value::new(Some(&ENVIRONMENT.to_owned()), text))
}
