//! The files in `envoy/` as they are shipped: the production bootstrap in a folder of its own, and the
//! snippets that go on top of it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ib_stack::StackOptions;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::envoy_process::{built, envoy_folder, envoy_program};

/// The name that the production file serves until it is changed.
pub const PRODUCTION_NAME: &str = "gateway.example.com";

/// A snippet of the folder `envoy/`: what it changes in the bootstrap and in the plugin's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Snippet {
    /// RFC 6902 operations on the bootstrap.
    pub bootstrap: Vec<Value>,
    /// RFC 7396 merge patch of the plugin's configuration.
    pub plugin: Value,
}

impl Snippet {
    /// Reads a snippet.
    ///
    /// # Panics
    ///
    /// When there is none of this name, or it is of another form.
    #[must_use]
    #[track_caller]
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(envoy_folder().join(name)).expect("the snippet is there");
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A stack's options with this snippet.
    #[must_use]
    pub fn options(self) -> StackOptions {
        StackOptions {
            envoy_patch: self.bootstrap,
            plugin_configuration: self.plugin,
            ..StackOptions::default()
        }
    }
}

/// The production bootstrap.
///
/// # Panics
///
/// When it cannot be read.
#[must_use]
#[track_caller]
pub fn production_bootstrap() -> Value {
    let text = fs::read_to_string(envoy_folder().join("envoy.yaml")).expect("envoy.yaml");
    serde_saphyr::from_str(&text).expect("YAML")
}

/// A folder laid out as the production file expects it, with a certificate for [`PRODUCTION_NAME`].
///
/// # Panics
///
/// When it cannot be made.
#[must_use]
#[track_caller]
pub fn production_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    for name in ["sds", "tls", "secrets"] {
        fs::create_dir(path.join(name)).expect("a folder");
    }
    copy(&envoy_folder().join("envoy.yaml"), &path.join("envoy.yaml"));
    for entry in fs::read_dir(envoy_folder().join("sds")).expect("envoy/sds") {
        let entry = entry.expect("an entry");
        copy(&entry.path(), &path.join("sds").join(entry.file_name()));
    }
    copy(&built("plugin.wasm"), &path.join("plugin.wasm"));
    let pair =
        rcgen::generate_simple_self_signed(vec![PRODUCTION_NAME.to_owned()]).expect("a pair");
    let credential = "Bearer 0123456789abcdef0123456789abcdef".to_owned();
    for (name, text) in [
        ("tls/tls.crt", pair.cert.pem()),
        ("tls/tls.key", pair.signing_key.serialize_pem()),
        ("secrets/gateway-authorization", credential),
    ] {
        fs::write(path.join(name), text).expect("a file");
    }
    folder
}

/// The minor version of an Envoy 1.x.
///
/// # Panics
///
/// When it does not answer as Envoy does.
#[must_use]
#[track_caller]
pub fn minor_version(envoy: &Path) -> u32 {
    let output = Command::new(envoy).arg("--version").output().expect("Envoy can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `... version: <revision>/1.40.0/Clean/RELEASE/BoringSSL`
    let version = text.split('/').find(|part| part.starts_with("1."));
    let minor = version.and_then(|version| version.split('.').nth(1)?.parse().ok());
    minor.unwrap_or_else(|| panic!("no version in: {text}"))
}

/// The Envoys at hand: the one under test, and those that lie beside it in the cache of
/// `scripts/envoy.sh` (a folder for each version).
#[must_use]
#[track_caller]
pub fn envoys_at_hand() -> Vec<PathBuf> {
    let under_test = envoy_program();
    let mut envoys = vec![under_test.clone()];
    let name = under_test.file_name().map_or_else(|| OsString::from("envoy"), OsString::from);
    let versions = under_test.parent().and_then(Path::parent).map(fs::read_dir);
    if let Some(Ok(versions)) = versions {
        let others = versions.flatten().map(|entry| entry.path().join(&name));
        envoys.extend(others.filter(|other| other.is_file() && *other != under_test));
    }
    envoys
}

#[track_caller]
fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}
