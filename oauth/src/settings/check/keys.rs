//! Checking the keys that seal records and tag tokens, and the gateway's credentials.

use std::collections::HashSet;

use ib_contract::LONGEST_TAG_KEY_ID;
use zeroize::Zeroizing;

use super::{DAY, Problems, secrets};
use crate::{
    sealing::{KEY_BYTES, Sealer, SealingKey},
    settings::{KeyNames, StoredKeySettings, file},
    tokens::{SecretHash, TagKeys},
};

/// How long a new tag key waits in the store before it issues, and the least that may be set: the
/// gateway's poll for keys takes half a minute.
const TAG_PUBLISH_SECONDS: (u64, u64) = (120, 60);
/// How old a key in the store becomes before it has a successor.
const DEFAULT_ROTATE_DAYS: u64 = 90;
/// Most keys of a kind.
pub(super) const MOST_KEYS: usize = 8;

/// A key and its name.
pub(super) struct NamedKey {
    id: String,
    key: Zeroizing<[u8; KEY_BYTES]>,
}

/// Reads the keys of one list, whose ids have at most `longest_id` characters.
pub(super) fn read(
    list: &str,
    keys: &[file::KeyFile],
    longest_id: usize,
    found: &mut Problems,
) -> Vec<NamedKey> {
    if !(1..=MOST_KEYS).contains(&keys.len()) {
        found.add(list, format!("needs between 1 and {MOST_KEYS} keys"));
    }
    let mut ids = HashSet::new();
    let mut good = Vec::new();
    for (position, key) in keys.iter().enumerate() {
        let field = format!("{list}[{position}]");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !(1..=longest_id).contains(&key.id.len()) || !key.id.bytes().all(plain) {
            let reason = format!("must be 1 to {longest_id} letters, digits, `-` or `_`");
            found.add(format!("{field}.id"), reason);
        }
        if !ids.insert(key.id.as_str()) {
            found.add(format!("{field}.id"), "is the id of an earlier key");
        }
        found.exposed(&format!("{field}.file"), &key.file);
        match secrets::key(&key.file) {
            Ok(read) => good.push(NamedKey { id: key.id.clone(), key: read }),
            Err(reason) => found.add(format!("{field}.file"), reason),
        }
    }
    good
}

/// The keys by their names.
pub(super) fn names(keys: &[NamedKey]) -> KeyNames {
    keys.iter().map(|named| (named.id.clone(), SecretHash::of(&*named.key))).collect()
}

/// Keys of a kind that files or the store may hold.
pub(super) struct Checked<K> {
    pub(super) keys: K,
    pub(super) names: KeyNames,
    pub(super) stored: Option<StoredKeySettings>,
}

/// Which of the two holds the keys of `section`: the files, or the settings for the store.
pub(super) fn source<'f>(
    section: &str,
    source: &'f file::KeySource,
    (publish_default, publish_least): (u64, u64),
    found: &mut Problems,
) -> Result<&'f [file::KeyFile], StoredKeySettings> {
    let in_store = source.source == Some(file::Source::Store);
    if in_store && source.keys.is_some() {
        found.add(format!("{section}.keys"), "must be absent where the source is the store");
    }
    if !in_store && source.rotate_days.is_some() {
        let reason = "is for keys in the store: those in files change when the files do";
        found.add(format!("{section}.rotate_days"), reason);
    }
    let publish_seconds = found.range(
        &format!("{section}.publish_seconds"),
        source.publish_seconds.unwrap_or(publish_default),
        publish_least..=DAY,
    );
    let days = found.range(
        &format!("{section}.rotate_days"),
        source.rotate_days.unwrap_or(DEFAULT_ROTATE_DAYS),
        0..=3_650,
    );
    if in_store {
        let rotate_seconds = (days > 0).then(|| days.saturating_mul(DAY));
        return Err(StoredKeySettings { publish_seconds, rotate_seconds });
    }
    Ok(source.keys.as_deref().unwrap_or_default())
}

/// The sealer: the first key seals, all of them open.
pub(super) fn sealer(keys: Vec<NamedKey>) -> Option<Sealer> {
    let mut keys = keys.into_iter().map(|named| SealingKey::new(&named.id, &named.key));
    keys.next().map(|first| Sealer::new(first, keys.collect()))
}

/// The keys of the tags. The gateway gets them, so none of them may be one that seals.
pub(super) fn token_tags(
    section: &file::KeySource,
    sealing: &[NamedKey],
    found: &mut Problems,
) -> Checked<TagKeys> {
    let list = "token_tags.keys";
    let mut tags = TagKeys::default();
    let files = match source("token_tags", section, TAG_PUBLISH_SECONDS, found) {
        Ok(files) => files,
        Err(stored) => {
            return Checked { keys: tags, names: Vec::new(), stored: Some(stored) };
        }
    };
    for (position, key) in files.iter().enumerate() {
        // In a token the id stands between its neighbours without a sign that would end it.
        if !key.id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            found.add(format!("{list}[{position}].id"), "must be letters and digits alone");
        }
    }
    let keys = read(list, files, LONGEST_TAG_KEY_ID, found);
    let seals = |key: &NamedKey| sealing.iter().any(|other| other.key == key.key);
    if keys.iter().any(seals) {
        found.add(list, "holds a key of sealing.keys, and the gateway must never get those");
    }
    for key in &keys {
        // One that is refused has a problem of its own already.
        tags.accept(&key.id, &key.key).ok();
    }
    Checked { keys: tags, names: names(&keys), stored: None }
}

/// The hashes of the credentials that the gateway may show.
pub(super) fn gateway_credentials(
    files: &[file::SecretFile],
    found: &mut Problems,
) -> Vec<SecretHash> {
    if !(1..=2).contains(&files.len()) {
        found.add("gateway.credentials", "needs one credential, or two during a rotation");
    }
    credentials("gateway", files, found)
}

/// The hashes of the credentials that operators may show. None of them may be one of the gateway's:
/// whoever can read what the gateway has would be an operator.
pub(super) fn admin_credentials(
    files: &[file::SecretFile],
    gateway: &[SecretHash],
    found: &mut Problems,
) -> Vec<SecretHash> {
    if files.len() > MOST_KEYS {
        found.add("admin.credentials", format!("may have {MOST_KEYS} at most"));
    }
    let hashes = credentials("admin", files, found);
    if hashes.iter().any(|hash| gateway.contains(hash)) {
        found.add("admin.credentials", "holds a credential of the gateway");
    }
    hashes
}

fn credentials(section: &str, files: &[file::SecretFile], found: &mut Problems) -> Vec<SecretHash> {
    let mut hashes: Vec<SecretHash> = Vec::new();
    for (position, credential) in files.iter().enumerate() {
        let field = format!("{section}.credentials[{position}].file");
        found.exposed(&field, &credential.file);
        match secrets::secret_hash(&credential.file) {
            Ok(hash) if hashes.contains(&hash) => {
                found.add(field, "holds the same secret as an earlier one");
            }
            Ok(hash) => hashes.push(hash),
            Err(reason) => found.add(field, reason),
        }
    }
    hashes
}
