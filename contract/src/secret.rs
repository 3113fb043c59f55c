//! Text that must never be printed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret in the contract: a session id, or an upstream's own token.
///
/// It is serialised in the clear, because the contract's one purpose is to hand it over, and its
/// `Debug` output is `[redacted]`, so that no log, error or panic text can show it. It has no
/// `Display`: whoever needs the text says so with [`Secret::expose`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Search for this name to find every place that handles a secret in the clear.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_output_does_not_show_the_text_to_whoever_reads_a_log() {
        let secret = Secret::new("0123456789abcdef");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(format!("{:?}", vec![Some(secret)]), "[Some([redacted])]");
    }
}
