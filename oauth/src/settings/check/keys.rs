//! Checking the keys that seal records and tag tokens, and the gateway's credentials.

use std::collections::HashSet;

use ib_contract::LONGEST_TAG_KEY_ID;
use zeroize::Zeroizing;

use super::{Problems, secrets};
use crate::{
    sealing::{KEY_BYTES, Sealer, SealingKey},
    settings::file,
    tokens::{SecretHash, TagKeys},
};

/// Most keys of a kind.
const MOST_KEYS: usize = 8;

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

/// The sealer: the first key seals, all of them open.
pub(super) fn sealer(keys: Vec<NamedKey>) -> Option<Sealer> {
    let mut keys = keys.into_iter().map(|named| SealingKey::new(&named.id, &named.key));
    keys.next().map(|first| Sealer::new(first, keys.collect()))
}

/// The keys of the tags. The gateway gets them, so none of them may be one that seals.
pub(super) fn token_tags(
    files: &[file::KeyFile],
    sealing: &[NamedKey],
    found: &mut Problems,
) -> Option<TagKeys> {
    let list = "token_tags.keys";
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
    let mut keys = keys.into_iter();
    let first = keys.next()?;
    let mut tags = TagKeys::new(&first.id, &first.key).ok()?;
    for key in keys {
        tags.accept(&key.id, &key.key).ok()?;
    }
    Some(tags)
}

/// The hashes of the credentials that the gateway may show.
pub(super) fn gateway_credentials(
    credentials: &[file::SecretFile],
    found: &mut Problems,
) -> Vec<SecretHash> {
    if !(1..=2).contains(&credentials.len()) {
        found.add("gateway.credentials", "needs one credential, or two during a rotation");
    }
    let mut hashes: Vec<SecretHash> = Vec::new();
    for (position, credential) in credentials.iter().enumerate() {
        let field = format!("gateway.credentials[{position}].file");
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
