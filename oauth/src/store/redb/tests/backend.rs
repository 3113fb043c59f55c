//! A file in memory whose disk fails when a test says so. Clones are the same file.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ::redb::{StorageBackend, backends::InMemoryBackend};

#[derive(Debug, Clone, Default)]
pub(super) struct Backend(Arc<Disk>);

#[derive(Debug, Default)]
struct Disk {
    bytes: InMemoryBackend,
    writes_fail: AtomicBool,
    reads_fail: AtomicBool,
}

impl Backend {
    pub(super) fn fail_writes(&self, fail: bool) {
        self.0.writes_fail.store(fail, Ordering::SeqCst);
    }

    pub(super) fn fail_reads(&self, fail: bool) {
        self.0.reads_fail.store(fail, Ordering::SeqCst);
    }
}

fn unless(fails: &AtomicBool) -> io::Result<()> {
    if fails.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        unless(&self.0.reads_fail)?;
        self.0.bytes.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        unless(&self.0.writes_fail)?;
        self.0.bytes.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        unless(&self.0.writes_fail)?;
        self.0.bytes.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        unless(&self.0.writes_fail)?;
        self.0.bytes.write(offset, data)
    }
}
