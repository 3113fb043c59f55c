//! The tokens between two commands, in a file that only its owner may read. Whoever changes it holds the lock.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::{Outcome, Tokens};

/// Waits until no other command changes the tokens, and keeps others from it until it is dropped.
pub struct Lock {
    _file: File,
}

impl Lock {
    pub fn wait() -> Outcome<Self> {
        let path = path()?;
        fs::create_dir_all(path.parent().ok_or("the tokens' file has no folder")?)?;
        // A file beside the tokens' own, which is replaced.
        let path = path.with_extension("lock");
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.lock()?;
        Ok(Self { _file: file })
    }
}

/// Written anew and moved into place, so that a crash leaves the old tokens or the new ones.
pub fn save(_lock: &Lock, tokens: &Tokens) -> Outcome<()> {
    let path = path()?;
    let new = path.with_extension("new");
    // A crash may have left one.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // Its mode counts for a file that is made, not for one that somebody has put there.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(tokens)?)?;
    file.sync_all()?;
    Ok(fs::rename(new, path)?)
}

pub fn load() -> Outcome<Tokens> {
    let text = fs::read(path()?).map_err(|_| "nobody is logged in: ib-cli login")?;
    Ok(serde_json::from_slice(&text)?)
}

pub fn remove(_lock: &Lock) -> Outcome<()> {
    Ok(fs::remove_file(path()?)?)
}

fn path() -> Outcome<PathBuf> {
    if let Some(file) = std::env::var_os("IB_CLI_TOKENS") {
        return Ok(file.into());
    }
    let home = std::env::var_os("HOME").ok_or("HOME is not set; set IB_CLI_TOKENS to a file")?;
    Ok(PathBuf::from(home).join(".local/state/ib-cli/tokens.json"))
}
