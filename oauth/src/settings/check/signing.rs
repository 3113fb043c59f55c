//! Checking the keys that sign JWT access tokens.

use std::collections::HashSet;

use super::{
    Problems,
    keys::{Checked, MOST_KEYS, source},
    secrets,
};
use crate::{
    settings::{AccessTokenFormat, KeyNames, StoredKeySettings, file},
    tokens::{SecretHash, SigningKeys},
};

/// How long a new key is published before it signs, and the least that may be set: longer than resource
/// servers keep the JWK set, and than an instance takes to notice a new key.
const PUBLISH_SECONDS: (u64, u64) = (600, 10);
/// Longest that a JWK set may be kept, in seconds.
const LONGEST_JWKS: u64 = 300;
/// Longest id of a key.
const LONGEST_ID: usize = 32;

/// The keys that sign.
pub(super) struct Signing {
    pub(super) keys: SigningKeys,
    pub(super) names: KeyNames,
    pub(super) stored: Option<StoredKeySettings>,
    pub(super) jwks_seconds: u64,
}

pub(super) fn check(
    section: Option<&file::KeySource>,
    format: AccessTokenFormat,
    found: &mut Problems,
) -> Signing {
    let Some(section) = section else {
        if format == AccessTokenFormat::Jwt {
            found.add("signing", "must be there: tokens.access_token_format is `jwt`");
        }
        let keys = SigningKeys::default();
        return Signing { keys, names: Vec::new(), stored: None, jwks_seconds: LONGEST_JWKS };
    };
    let Checked { keys, names, stored } = match source("signing", section, PUBLISH_SECONDS, found) {
        Ok(files) => from_files(files, found),
        Err(stored) => {
            Checked { keys: SigningKeys::default(), names: Vec::new(), stored: Some(stored) }
        }
    };
    let published = section.publish_seconds.unwrap_or(PUBLISH_SECONDS.0);
    Signing { keys, names, stored, jwks_seconds: (published / 2).min(LONGEST_JWKS) }
}

fn from_files(files: &[file::KeyFile], found: &mut Problems) -> Checked<SigningKeys> {
    let list = "signing.keys";
    if !(1..=MOST_KEYS).contains(&files.len()) {
        found.add(list, format!("needs between 1 and {MOST_KEYS} keys"));
    }
    let (mut ids, mut halves) = (HashSet::new(), Vec::new());
    let (mut keys, mut names) = (SigningKeys::default(), Vec::new());
    for (position, key) in files.iter().enumerate() {
        let field = format!("{list}[{position}]");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !(1..=LONGEST_ID).contains(&key.id.len()) || !key.id.bytes().all(plain) {
            let reason = format!("must be 1 to {LONGEST_ID} letters, digits, `-` or `_`");
            found.add(format!("{field}.id"), reason);
        }
        if !ids.insert(key.id.as_str()) {
            found.add(format!("{field}.id"), "is the id of an earlier key");
        }
        found.exposed(&format!("{field}.file"), &key.file);
        match secrets::signing_key(&key.id, &key.file) {
            Ok(read) => {
                let half = SecretHash::of(read.public());
                if halves.contains(&half) {
                    found.add(format!("{field}.file"), "holds the same key as an earlier one");
                }
                halves.push(half);
                names.push((key.id.clone(), half));
                keys.0.push(read);
            }
            Err(reason) => found.add(format!("{field}.file"), reason),
        }
    }
    Checked { keys, names, stored: None }
}
