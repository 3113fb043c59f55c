//! The tokens between two commands, in a file that only its owner may read.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::{Outcome, Tokens};

/// Written anew and moved into place, so that a crash leaves the old tokens or the new ones.
pub fn save(tokens: &Tokens) -> Outcome<()> {
    let path = path()?;
    fs::create_dir_all(path.parent().ok_or("the tokens' file has no folder")?)?;
    let new = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(tokens)?)?;
    file.sync_all()?;
    Ok(fs::rename(new, path)?)
}

pub fn load() -> Outcome<Tokens> {
    let text = fs::read(path()?).map_err(|_| "nobody is logged in: ib-cli login")?;
    Ok(serde_json::from_slice(&text)?)
}

pub fn remove() -> Outcome<()> {
    Ok(fs::remove_file(path()?)?)
}

fn path() -> Outcome<PathBuf> {
    if let Some(file) = std::env::var_os("IB_CLI_TOKENS") {
        return Ok(file.into());
    }
    let home = std::env::var_os("HOME").ok_or("HOME is not set; set IB_CLI_TOKENS to a file")?;
    Ok(PathBuf::from(home).join(".local/state/ib-cli/tokens.json"))
}
