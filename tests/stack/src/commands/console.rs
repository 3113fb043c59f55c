//! Speaking to a person: results and progress on standard output, one line at a time.

use std::io::Write;

/// Writes a line. A reader that went away (a closed pipe) is no reason to end a stack.
pub fn line(text: impl AsRef<str>) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{}", text.as_ref());
    let _ = output.flush();
}
