//! What the kernel counts: a process's processor time, a core's, a process's memory.

use std::time::Duration;

use crate::error::{BenchError, Result, failed};

/// The kernel's unit for a core's times.
const TICKS_A_SECOND: u64 = 100;

/// The processor time of all threads of a process so far.
pub(crate) fn process_time(process_id: u32) -> Result<Duration> {
    let folder = format!("/proc/{process_id}/task");
    let threads = std::fs::read_dir(&folder).map_err(BenchError::io(folder))?;
    let times = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Ok(Duration::from_nanos(times.sum()))
}

/// The time that a core has not been idle so far.
pub(crate) fn core_time(core: u32) -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/stat").map_err(BenchError::io("/proc/stat"))?;
    let name = format!("cpu{core} ");
    let Some(line) = text.lines().find_map(|line| line.strip_prefix(&name)) else {
        return failed(format!("/proc/stat has no core {core}"));
    };
    let fields: Vec<u64> = line.split(' ').filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let busy =
        [0, 1, 2, 5, 6, 7].iter().filter_map(|&index: &usize| fields.get(index)).sum::<u64>();
    Ok(Duration::from_millis(busy * 1000 / TICKS_A_SECOND))
}

/// The resident memory of a process, in kilobytes.
pub(crate) fn resident_kilobytes(process_id: u32) -> Result<u64> {
    let file = format!("/proc/{process_id}/status");
    let text = std::fs::read_to_string(&file).map_err(BenchError::io(&file))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    match line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()) {
        Some(kilobytes) => Ok(kilobytes),
        None => failed(format!("{file} has no VmRSS")),
    }
}
