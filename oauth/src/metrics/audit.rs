//! The audit log.

use metrics::{Key, KeyName, Recorder as _, SharedString, Unit};

use super::{METADATA, Metrics};

const EVENTS: &str = "oauth_audit_events_total";
const FAILING: &str = "oauth_audit_failing";

impl Metrics {
    /// Lines that are in the log.
    pub(crate) fn audit_written(&self, lines: u64) {
        self.count(EVENTS, &[("result", "written")], lines);
    }

    /// Lines that are not and never will be.
    pub(crate) fn audit_lost(&self, lines: u64) {
        self.count(EVENTS, &[("result", "lost")], lines);
    }

    /// Whether the last attempt to write failed.
    pub(crate) fn audit_failing(&self, is_failing: bool) {
        let key = Key::from_static_name(FAILING);
        self.recorder.register_gauge(&key, &METADATA).set(f64::from(u8::from(is_failing)));
    }

    pub(super) fn describe_audit(&self) {
        let help = SharedString::from("Events of the audit log: written, or lost for good.");
        self.recorder.describe_counter(KeyName::from(EVENTS), Some(Unit::Count), help);
        let help = SharedString::from("1 while the audit log cannot be written, else 0.");
        self.recorder.describe_gauge(KeyName::from(FAILING), Some(Unit::Count), help);
        self.audit_written(0);
        self.audit_lost(0);
        self.audit_failing(false);
    }
}
