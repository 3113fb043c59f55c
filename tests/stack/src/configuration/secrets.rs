//! The secrets of a run: the service's keys, and the credential between gateway and service.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::StackError;
use crate::running::layout::Layout;

/// Writes the secrets that are not there yet; those of an earlier run in the same folder stay, so that
/// its store can be read.
///
/// # Errors
///
/// When a file cannot be written or the system gives no randomness.
pub fn prepare(layout: &Layout) -> Result<(), StackError> {
    for key in [layout.sealing_key(), layout.token_tag_key()] {
        if !key.exists() {
            write_private(&key, &STANDARD.encode(random::<32>()?))?;
        }
    }
    for secret in [layout.gateway_credential(), layout.example_client_secret()] {
        keep_or_make(&secret)?;
    }
    // Envoy injects the whole header value; the service keeps the bare secret.
    let secret = std::fs::read_to_string(layout.gateway_credential())
        .map_err(StackError::io(layout.gateway_credential().display().to_string()))?;
    write_private(&layout.gateway_authorization(), &format!("Bearer {secret}"))
}

/// Writes a password that goes into a header or a command as it is, unless there is one already.
pub(crate) fn keep_or_make(path: &Path) -> Result<(), StackError> {
    if path.exists() {
        return Ok(());
    }
    write_private(path, &URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// Bytes from the system's generator.
///
/// # Errors
///
/// When the system gives none.
pub fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], StackError> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes)
        .map_err(|error| StackError::configuration("randomness of the system", error))?;
    Ok(bytes)
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), StackError> {
    let what = || path.display().to_string();
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(StackError::io(what()))?;
    file.write_all(text.as_bytes()).map_err(StackError::io(what()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_for_their_owner_alone_and_survive_a_second_start() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path().to_owned()).unwrap();
        prepare(&layout).unwrap();
        let read = || {
            [layout.sealing_key(), layout.token_tag_key()]
                .map(|path| std::fs::read_to_string(path).unwrap())
        };
        let keys = read();
        assert!(keys.iter().all(|key| STANDARD.decode(key).unwrap().len() == 32));
        assert_ne!(keys[0], keys[1]);
        let secret = std::fs::read_to_string(layout.gateway_credential()).unwrap();
        let authorization = std::fs::read_to_string(layout.gateway_authorization()).unwrap();
        assert_eq!(authorization, format!("Bearer {secret}"));
        for file in [
            layout.sealing_key(),
            layout.token_tag_key(),
            layout.gateway_credential(),
            layout.example_client_secret(),
            layout.gateway_authorization(),
        ] {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        prepare(&layout).unwrap();
        assert_eq!(read(), keys);
    }
}
