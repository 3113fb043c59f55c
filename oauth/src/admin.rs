//! What operators do from the command line.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::store::StoreError;

mod archive;
mod copy;
mod keys;
mod remote;
mod seed;
mod tables;

pub use copy::{Copied, Progress, backup, compact, migrate, restore, verify_backup};
pub use keys::{KeyCommandError, ListedKey, StoredKind, generate_key, list_keys, rotate_keys};
pub use remote::{
    Chosen, Remote, list_credentials, list_grants, refresh_credential, revoke_grants,
};
pub use seed::{SeedError, SeedOptions, seed};
pub use tables::{CreateTablesError, create_tables};

/// Why a command of administration did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// A file cannot be read or written.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
    /// The runtime could not be made.
    #[error("the runtime failed: {0}")]
    Runtime(io::Error),
    /// The backup cannot be believed.
    #[error("the backup cannot be used: {0}")]
    Archive(&'static str),
    /// The sealing keys are not those of what is to be restored.
    #[error("sealing.keys: they do not open what is to be restored: {0}")]
    Keys(String),
    /// There is nothing of this service.
    #[error("this holds no store of this service")]
    NoStore,
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(String),
    /// What was written is not what was read.
    #[error(
        "what was written to table `{0}` differs from what was read: does a service run on it?"
    )]
    Differs(&'static str),
    /// The engine keeps no file of this service.
    #[error("store.engine: this engine gives space back by itself")]
    NoFile,
    /// The service cannot be asked, or refused.
    #[error("the service: {0}")]
    Remote(String),
}

impl AdminError {
    /// For `map_err`: a failure with this file.
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::File { path, cause }
    }
}

impl From<StoreError> for AdminError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause.to_string())
    }
}

/// Runs a command that waits for a network or a store.
fn block_on<T>(work: impl Future<Output = Result<T, AdminError>>) -> Result<T, AdminError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(AdminError::Runtime)?;
    runtime.block_on(work)
}

/// Takes the place of a file of this name. Whoever owns that file or has it open reads nothing of the
/// new one.
fn make_anew(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
        fs::remove_file(path)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read as _, Write as _},
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::make_anew;

    #[test]
    fn tokens_are_for_the_owner_alone_also_where_a_file_stood_that_others_could_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut opened = fs::File::open(&path).unwrap();
        make_anew(&path).unwrap().write_all(b"token").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "token");
        let mut heard = String::new();
        opened.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "before", "who had it open reads on in the old file");
    }

    #[test]
    fn tokens_go_nowhere_by_a_link_that_somebody_else_has_put_there() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("tokens"), folder.path().join("elsewhere"));
        fs::write(&elsewhere, "mine").unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert!(make_anew(&path).is_err());
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
    }
}
