//! What the store is asked.

use std::time::Duration;

use metrics::{Key, KeyName, Label, Recorder as _, SharedString, Unit};

use super::{METADATA, Metrics};

const OPERATIONS: &str = "oauth_store_operations_total";
const DURATIONS: &str = "oauth_store_operation_duration_seconds";

impl Metrics {
    /// `operation` is the name of a method of the store's, `outcome` is `done`, `conflict` or `failed`.
    pub(crate) fn store(&self, operation: &'static str, outcome: &'static str, took: Duration) {
        self.count(OPERATIONS, &[("operation", operation), ("outcome", outcome)], 1);
        let label = Label::from_static_parts("operation", operation);
        let key = Key::from_parts(DURATIONS, vec![label]);
        self.recorder.register_histogram(&key, &METADATA).record(took.as_secs_f64());
    }

    pub(super) fn describe_store(&self) {
        let help = SharedString::from("Operations of the store, by outcome.");
        self.recorder.describe_counter(KeyName::from(OPERATIONS), Some(Unit::Count), help);
        let help = SharedString::from("Time until the store had done an operation.");
        self.recorder.describe_histogram(KeyName::from(DURATIONS), Some(Unit::Seconds), help);
        for operation in ["get", "get_many", "apply", "purge", "ready"] {
            self.count(OPERATIONS, &[("operation", operation), ("outcome", "failed")], 0);
        }
    }
}
