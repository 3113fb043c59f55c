//! The plugin's configuration: JSON in, a [`Policy`] out, or the field that is wrong and why.
//!
//! `written` is its form, `bounds` its bounds; `compile` checks the one against the other.

mod bounds;
mod check;
mod compile;
mod written;

use crate::policy::Policy;

/// The longest configuration that is read, in bytes.
const LONGEST_CONFIGURATION: usize = 1 << 20;

/// Reads and checks a configuration.
pub(crate) fn read(json: &[u8]) -> Result<Policy, ConfigurationError> {
    if json.len() > LONGEST_CONFIGURATION {
        return Err(ConfigurationError::TooLong { bytes: LONGEST_CONFIGURATION });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let configuration: written::Configuration = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| ConfigurationError::Malformed {
            field: error.path().to_string(),
            reason: error.inner().to_string(),
        })?;
    deserializer.end().map_err(|error| ConfigurationError::Malformed {
        field: ".".to_owned(),
        reason: error.to_string(),
    })?;
    compile::compile(configuration)
}

/// Why a configuration is refused. The configuration holds no secrets, so its values may be named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// Longer than any configuration should be.
    #[error("the configuration is longer than {bytes} bytes")]
    TooLong {
        /// The bound, in bytes.
        bytes: usize,
    },
    /// Not JSON, an unknown or missing field, or a value of the wrong type.
    #[error("the configuration is malformed at `{field}`: {reason}")]
    Malformed {
        /// Path of the field, `.` for the whole.
        field: String,
        /// What the parser says.
        reason: String,
    },
    /// A value that cannot be worked with.
    #[error("`{field}` is not acceptable: {reason}")]
    Invalid {
        /// Path of the field.
        field: String,
        /// What is wrong with its value.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
