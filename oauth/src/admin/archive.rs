//! The file of a backup: lines of JSON. A head, one line a record as the store keeps it (sealed), and an
//! end with the hash of everything before, so that a file that was cut short or changed by accident is
//! noticed. The hash has no key: who changes a file on purpose can write it anew.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{AdminError, make_anew};
use crate::store::{Key, MAXIMUM_VALUE_BYTES, Named, Stored};

const FORMAT: &str = "ib-oauth-backup";
const VERSION: u32 = 1;
/// Longest line that is read: a record of the largest value in base64, and its names.
const LONGEST_LINE: u64 = MAXIMUM_VALUE_BYTES as u64 * 2;

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Head {
        format: String,
        version: u32,
        /// Unix seconds.
        created_at: u64,
    },
    Record {
        key: String,
        version: u64,
        /// Unix seconds.
        expires_at: u64,
        /// Base64.
        value: String,
    },
    End {
        records: u64,
        /// Of every line before, in hexadecimal.
        sha256: String,
    },
}

/// Writes a backup under another name, which becomes the right one when everything is on the disk.
pub(super) struct Writer {
    file: BufWriter<File>,
    hash: Sha256,
    records: u64,
    partial: PathBuf,
    path: PathBuf,
}

impl Writer {
    /// `created_at` is in Unix seconds.
    pub(super) fn new(path: &Path, created_at: u64) -> Result<Self, AdminError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = make_anew(&partial).map_err(AdminError::file(&partial))?;
        let mut writer = Self {
            file: BufWriter::new(file),
            hash: Sha256::new(),
            records: 0,
            partial,
            path: path.to_owned(),
        };
        let head = Line::Head { format: FORMAT.to_owned(), version: VERSION, created_at };
        writer.line(&head)?;
        Ok(writer)
    }

    pub(super) fn add(&mut self, record: &Named) -> Result<(), AdminError> {
        self.line(&Line::Record {
            key: record.key.to_string(),
            version: record.stored.version,
            expires_at: record.stored.expires_at,
            value: STANDARD.encode(&record.stored.value),
        })?;
        self.records = self.records.saturating_add(1);
        Ok(())
    }

    /// Writes the end, and gives the file its name. Says how many records it holds.
    pub(super) fn finish(mut self) -> Result<u64, AdminError> {
        let records = self.records;
        let end = Line::End { records, sha256: hexadecimal(self.hash.clone()) };
        self.line(&end)?;
        let Self { file, partial, path, .. } = self;
        let done = file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&partial, &path))
            .and_then(|()| sync_folder(&path));
        done.map_err(AdminError::file(&path))?;
        Ok(records)
    }

    fn line(&mut self, line: &Line) -> Result<(), AdminError> {
        let mut text = serde_json::to_vec(line)
            .map_err(|_| AdminError::Archive("a line cannot be written"))?;
        text.push(b'\n');
        self.hash.update(&text);
        self.file.write_all(&text).map_err(AdminError::file(&self.partial))
    }
}

/// A rename is on the disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Reads a backup from its beginning. What it gives may be believed when the end was met.
pub(super) struct Reader {
    file: BufReader<File>,
    hash: Sha256,
    records: u64,
    is_over: bool,
    path: PathBuf,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, AdminError> {
        let file = File::open(path).map_err(AdminError::file(path))?;
        let mut reader = Self {
            file: BufReader::new(file),
            hash: Sha256::new(),
            records: 0,
            is_over: false,
            path: path.to_owned(),
        };
        match reader.line()? {
            Line::Head { format, version: VERSION, .. } if format == FORMAT => Ok(reader),
            Line::Head { .. } => Err(AdminError::Archive("it is of another program or version")),
            Line::Record { .. } | Line::End { .. } => Err(AdminError::Archive("it has no head")),
        }
    }

    /// The next record; none when the end was met and everything before it is as it was written.
    pub(super) fn next(&mut self) -> Result<Option<Named>, AdminError> {
        if self.is_over {
            return Ok(None);
        }
        let before = self.hash.clone();
        match self.line()? {
            Line::Record { key, version, expires_at, value } => {
                let key = Key::from_name(&key);
                let key = key.ok_or(AdminError::Archive("it has a record of an unknown table"))?;
                let value = STANDARD
                    .decode(value)
                    .map_err(|_| AdminError::Archive("it has a record that is no base64"))?;
                self.records = self.records.saturating_add(1);
                Ok(Some(Named { key, stored: Stored { value, version, expires_at } }))
            }
            Line::End { records, sha256 } => {
                if records != self.records || sha256 != hexadecimal(before) {
                    return Err(AdminError::Archive("it was changed after it was written"));
                }
                let rest = self.file.fill_buf().map_err(AdminError::file(&self.path))?;
                if !rest.is_empty() {
                    return Err(AdminError::Archive("it goes on after its end"));
                }
                self.is_over = true;
                Ok(None)
            }
            Line::Head { .. } => Err(AdminError::Archive("it has a second head")),
        }
    }

    fn line(&mut self) -> Result<Line, AdminError> {
        let mut text = Vec::new();
        let mut limited = self.file.by_ref().take(LONGEST_LINE);
        limited.read_until(b'\n', &mut text).map_err(AdminError::file(&self.path))?;
        if text.last() != Some(&b'\n') {
            return Err(AdminError::Archive("it was cut short"));
        }
        self.hash.update(&text);
        serde_json::from_slice(&text).map_err(|_| AdminError::Archive("it has a malformed line"))
    }
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Reader, Writer};
    use crate::{
        admin::AdminError,
        store::{Key, Named, Stored, Table},
    };

    fn record(number: u64) -> Named {
        let key = Key::new(Table::Grant, number.to_string());
        Named {
            key,
            stored: Stored { value: vec![0xff, 1], version: number, expires_at: u64::MAX },
        }
    }

    fn written(path: &Path) {
        let mut writer = Writer::new(path, 7).unwrap();
        (1..=3).for_each(|number| writer.add(&record(number)).unwrap());
        assert!(!path.exists(), "a backup that is not whole has not its name");
        assert_eq!(writer.finish().unwrap(), 3);
    }

    fn read(path: &Path) -> Result<Vec<Named>, AdminError> {
        let mut reader = Reader::open(path)?;
        let mut records = Vec::new();
        while let Some(record) = reader.next()? {
            records.push(record);
        }
        Ok(records)
    }

    #[test]
    fn a_backup_gives_back_what_was_written_and_only_to_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        written(&path);
        assert_eq!(read(&path).unwrap(), [record(1), record(2), record(3)]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_backup_that_was_cut_short_or_changed_anywhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, damaged) = (folder.path().join("backup"), folder.path().join("damaged"));
        written(&path);
        let good = std::fs::read(&path).unwrap();
        for position in 0..good.len() {
            let mut bytes = good.clone();
            bytes[position] ^= 1;
            std::fs::write(&damaged, &bytes).unwrap();
            assert!(read(&damaged).is_err(), "byte {position}");
            std::fs::write(&damaged, &good[..position]).unwrap();
            assert!(read(&damaged).is_err(), "length {position}");
        }
        let longer = [good.as_slice(), b"\n"].concat();
        std::fs::write(&damaged, longer).unwrap();
        assert!(read(&damaged).is_err(), "something stands behind the end");
        let lines: Vec<_> = good.split_inclusive(|byte| *byte == b'\n').collect();
        let without_one = [lines[0], lines[1], lines[3], lines[4]].concat();
        std::fs::write(&damaged, without_one).unwrap();
        assert!(read(&damaged).is_err(), "a record was taken out");
    }
}
