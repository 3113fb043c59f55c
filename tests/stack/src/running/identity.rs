//! Which process a process id meant: ids are given out again, so an id alone proves nothing.

use serde::{Deserialize, Serialize};

/// A process by its id and its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process id.
    pub process_id: u32,
    /// When it started, in clock ticks since the machine's boot.
    start_ticks: u64,
}

impl ProcessIdentity {
    /// The identity of a process that lives now.
    #[must_use]
    pub fn of(process_id: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process_id}/stat")).ok()?;
        Some(Self { process_id, start_ticks: start_ticks(&stat)? })
    }

    /// Whether that very process is still there (a dead one that nobody has reaped is not).
    #[must_use]
    pub fn lives(self) -> bool {
        Self::of(self.process_id) == Some(self)
    }
}

/// Field 22 of proc_pid_stat(5). The name in field 2 may hold spaces and parentheses, so that counting
/// begins after its last one. A zombie (field 3 is `Z`) counts as gone.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_ended_is_gone_and_an_id_given_out_again_is_another_process() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        assert!(identity.lives());
        let another = ProcessIdentity { start_ticks: identity.start_ticks + 1, ..identity };
        assert!(!another.lives(), "the same id with another start is another process");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!identity.lives());
    }

    #[test]
    fn a_dead_child_that_is_not_reaped_is_gone() {
        let stat = "7 (a) b) Z 1 7 7 0 -1 4228172 0 0 0 0 0 0 0 0 20 0 1 0 1234 0 0";
        assert_eq!(start_ticks(stat), None);
        assert_eq!(start_ticks(&stat.replace("Z", "S")), Some(1234));
    }
}
