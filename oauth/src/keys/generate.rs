//! New keys for files.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::KeyKind;
use crate::tokens::{NoRandomness, SigningKey, random_bytes};

/// Characters in a line of PEM (RFC 7468 section 2).
const LINE: usize = 64;

/// Why there is no file with a new key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    #[error("{0}")]
    NoRandomness(#[from] NoRandomness),
    #[error("--output: {0}")]
    Output(#[from] io::Error),
}

/// Writes a new key into a new file, for its owner alone. `None`: a key that seals. A file that is there
/// already stays as it is, and that is an error: it may hold the only copy of a key.
pub(crate) fn generate(kind: Option<KeyKind>, output: &Path) -> Result<(), KeyFileError> {
    let text = match kind {
        Some(KeyKind::Signing) => pem(&SigningKey::generate()?),
        // Both are 32 random bytes.
        Some(KeyKind::TokenTags) | None => {
            let key = Zeroizing::new(random_bytes::<32>()?);
            Zeroizing::new(format!("{}\n", STANDARD.encode(*key)))
        }
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(output)?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

/// RFC 7468 section 10.
fn pem(pkcs8: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(pkcs8));
    let mut text = Zeroizing::new(String::with_capacity(encoded.len().saturating_add(128)));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    for line in encoded.as_bytes().chunks(LINE) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::{KeyKind, generate};

    #[test]
    fn a_new_key_is_for_its_owner_alone_and_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        for kind in [Some(KeyKind::Signing), Some(KeyKind::TokenTags), None] {
            let path = folder.path().join(format!("{kind:?}"));
            generate(kind, &path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let before = fs::read(&path).unwrap();
            assert!(generate(kind, &path).is_err(), "a key was written over");
            assert_eq!(fs::read(&path).unwrap(), before);
        }
    }
}
