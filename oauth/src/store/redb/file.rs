//! The file itself: opening it for its owner alone, and making it shorter.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use ::redb::{Builder, Database, DatabaseError};

use super::{super::StoreError, EXPIRIES, RECORDS, RedbStore, engine, unharmed};

/// Read and written by its owner alone.
const MODE: u32 = 0o600;

impl RedbStore {
    /// Gives the space of removed records back to the file system, which no service may have open. Says
    /// how long the file was and is, in bytes.
    pub(crate) fn compact(path: &Path, cache_bytes: usize) -> Result<(u64, u64), StoreError> {
        let file = open_private_existing(path).map_err(engine)?;
        let length = || std::fs::metadata(path).map(|found| found.len()).map_err(engine);
        let before = length()?;
        unharmed(|| {
            let mut database =
                open_database(|builder| builder.set_cache_size(cache_bytes).create_file(file))?;
            // One call may leave room for another.
            while database.compact().map_err(engine)? {}
            Ok(())
        })?;
        Ok((before, length()?))
    }
}

/// Opens the file, or makes it. Others lose their access.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    private(path, OpenOptions::new().create(true).truncate(false))
}

/// The same, but makes none.
pub(super) fn open_private_existing(path: &Path) -> io::Result<File> {
    private(path, &mut OpenOptions::new())
}

fn private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.read(true).write(true).mode(MODE).open(path)?;
    if file.metadata()?.permissions().mode() & 0o777 & !MODE != 0 {
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    Ok(file)
}

/// Opens the database in what `create` makes, with its tables.
pub(super) fn open_database(
    create: impl FnOnce(&mut Builder) -> Result<Database, DatabaseError>,
) -> Result<Database, StoreError> {
    let database = create(&mut Database::builder()).map_err(engine)?;
    let mut transaction = database.begin_write().map_err(engine)?;
    // It may stay the last one, of a process that only reads and is killed.
    transaction.set_quick_repair(true);
    transaction.open_table(RECORDS).map_err(engine)?;
    transaction.open_table(EXPIRIES).map_err(engine)?;
    transaction.commit().map_err(engine)?;
    Ok(database)
}
