//! The memory of a process, from `/proc`.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The resident memory of a process, in bytes.
///
/// # Panics
///
/// When the process is gone.
#[must_use]
#[track_caller]
pub fn resident_bytes(process_id: u32) -> u64 {
    try_resident_bytes(process_id).unwrap_or_else(|| panic!("process {process_id} is gone"))
}

fn try_resident_bytes(process_id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process_id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Watches a process and remembers the most memory that it had.
pub struct MemoryWatch {
    peak: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    sampler: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    /// Begins to watch.
    #[must_use]
    pub fn start(process_id: u32) -> Self {
        let peak = Arc::new(AtomicU64::new(resident_bytes(process_id)));
        let over = Arc::new(AtomicBool::new(false));
        let sampler = thread::spawn({
            let (peak, over) = (Arc::clone(&peak), Arc::clone(&over));
            move || {
                while !over.load(Ordering::Relaxed) {
                    if let Some(bytes) = try_resident_bytes(process_id) {
                        peak.fetch_max(bytes, Ordering::Relaxed);
                    }
                    thread::sleep(Duration::from_millis(10));
                }
            }
        });
        Self { peak, over, sampler: Some(sampler) }
    }

    /// Ends the watch and gives the highest resident memory seen, in bytes.
    #[must_use]
    pub fn peak(mut self) -> u64 {
        self.stop();
        self.peak.load(Ordering::Relaxed)
    }

    fn stop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(sampler) = self.sampler.take() {
            let _ = sampler.join();
        }
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stop();
    }
}
