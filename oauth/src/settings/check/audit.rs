//! Checking the `audit` section.

use std::path::Path;

use super::Problems;
use crate::{
    audit::{AuditSettings, Destination},
    settings::file::{Audit, AuditTo},
};

pub(super) fn check(file: Audit, found: &mut Problems) -> AuditSettings {
    let Audit { to, file, required, queue } = file;
    if required && to == AuditTo::Off {
        found.add("audit.required", "needs a log: audit.to is off");
    }
    let destination = match (to, file) {
        (AuditTo::Off, None) => Destination::Nowhere,
        (AuditTo::Stderr, None) => Destination::StandardError,
        (AuditTo::File, Some(path)) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            if !folder.unwrap_or(Path::new(".")).is_dir() {
                let reason = format!("{} has no folder to be in", path.display());
                found.add("audit.file", reason);
            }
            if path.exists() && !path.is_file() {
                found.add("audit.file", format!("{} is no regular file", path.display()));
            }
            found.exposed("audit.file", &path);
            Destination::File(path)
        }
        (AuditTo::File, None) => {
            found.add("audit.file", "is needed where audit.to is file");
            Destination::Nowhere
        }
        (_, Some(_)) => {
            found.add("audit.file", "has a meaning only where audit.to is file");
            Destination::Nowhere
        }
    };
    let queue = found.bytes("audit.queue", queue, 16..=1_000_000);
    AuditSettings { destination, required, queue }
}
