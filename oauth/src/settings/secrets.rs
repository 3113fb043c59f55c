//! Secrets that come from files: the settings name the file, never the secret.

use std::{fs::File, io::Read as _, os::unix::fs::PermissionsExt as _, path::Path};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ib_contract::Secret;
use zeroize::Zeroizing;

use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use zeroize::Zeroize as _;

use crate::{
    sealing::KEY_BYTES,
    tokens::{SecretHash, SigningKey},
};

/// Shortest secret that a gateway or a client may have, in characters.
const SHORTEST_SECRET: usize = 32;
/// Longest file of a secret that is read, in bytes.
const LONGEST_FILE: u64 = 4 * 1024;
/// Longest file of public keys that is read, in bytes.
const LONGEST_JSON: u64 = 64 * 1024;

/// Reads a key: 32 bytes in base64.
pub(super) fn key(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, String> {
    let text = read(path)?;
    let bytes = STANDARD
        .decode(text.as_bytes())
        .or_else(|_| URL_SAFE_NO_PAD.decode(text.as_bytes()))
        .map(Zeroizing::new)
        .map_err(|_| format!("{} does not hold base64", path.display()))?;
    let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| {
        format!("{} holds {} bytes in place of {KEY_BYTES}", path.display(), bytes.len())
    })?;
    if key.iter().all(|byte| *byte == 0) {
        return Err(format!("{} holds nothing but zeros", path.display()));
    }
    Ok(Zeroizing::new(key))
}

/// Reads a key that signs: PKCS#8 in PEM.
pub(super) fn signing_key(id: &str, path: &Path) -> Result<SigningKey, String> {
    let text = read(path)?;
    // The parser's message may quote what it read.
    let mut key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| format!("{} holds no PEM of a PKCS#8 private key", path.display()))?;
    let read = SigningKey::from_pkcs8(id, key.secret_pkcs8_der());
    key.zeroize();
    read.map_err(|cause| format!("{} {cause}", path.display()))
}

/// Reads a shared secret and keeps its hash.
pub(super) fn secret_hash(path: &Path) -> Result<SecretHash, String> {
    let text = read(path)?;
    if text.len() < SHORTEST_SECRET {
        return Err(format!("{} holds fewer than {SHORTEST_SECRET} characters", path.display()));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{} holds more than printable ASCII", path.display()));
    }
    Ok(SecretHash::of(text.as_bytes()))
}

/// Reads a JSON file. What is wrong with it is said without a word of it, since a private key may have
/// been put there.
pub(super) fn json(path: &Path) -> Result<serde_json::Value, String> {
    let text = read_at_most(path, LONGEST_JSON)?;
    serde_json::from_str(&text).map_err(|_| format!("{} does not hold JSON", path.display()))
}

/// Reads a password, which another server has chosen.
pub(super) fn password(path: &Path) -> Result<Secret, String> {
    let text = read(path)?;
    if text.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(Secret::new(text.as_str()))
}

/// Reads the SHA-256 of a secret, in hexadecimal.
pub(super) fn hash_from_hexadecimal(text: &str) -> Option<SecretHash> {
    let mut bytes = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(SecretHash::from_bytes(bytes))
}

/// Whether others than its owner can read the file.
pub(super) fn is_exposed(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// A short text file without the white space around its text.
fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    read_at_most(path, LONGEST_FILE)
}

fn read_at_most(path: &Path, longest: u64) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    let failed = |cause| format!("{} cannot be read: {cause}", path.display());
    let file = File::open(path).map_err(failed)?;
    file.take(longest.saturating_add(1)).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > longest {
        return Err(format!("{} is larger than {longest} bytes", path.display()));
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}
