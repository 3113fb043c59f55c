//! Which program this is, and since when it runs.

use metrics::{Key, KeyName, Label, Recorder as _, SharedString, Unit};

use super::{METADATA, Metrics};

const BUILD: &str = "oauth_build_info";
/// The name that Prometheus' own clients use.
const STARTED: &str = "process_start_time_seconds";

impl Metrics {
    /// The service starts at `now` (Unix seconds).
    pub(crate) fn started(&self, now: u64) {
        let labels = vec![Label::from_static_parts("version", env!("CARGO_PKG_VERSION"))];
        self.recorder.register_gauge(&Key::from_parts(BUILD, labels), &METADATA).set(1.0);
        // Exact for the next hundred million years.
        #[expect(clippy::cast_precision_loss, reason = "a time in seconds is far below 2^53")]
        let seconds = now as f64;
        self.recorder.register_gauge(&Key::from_static_name(STARTED), &METADATA).set(seconds);
    }

    pub(super) fn describe_process(&self) {
        let help = SharedString::from("1, with the version of the program.");
        self.recorder.describe_gauge(KeyName::from(BUILD), None, help);
        let help = SharedString::from("When the process started, in Unix seconds.");
        self.recorder.describe_gauge(KeyName::from(STARTED), Some(Unit::Seconds), help);
    }
}
