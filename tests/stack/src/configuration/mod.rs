//! The configuration files of a run, made from the production files and development settings.

pub mod certificates;
pub mod containers;
pub mod envoy;
pub mod placeholders;
pub mod secrets;
pub mod service;
pub mod stage;
pub mod values;

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::StackError;

/// Reads a YAML file.
pub(crate) fn read_yaml<T: DeserializeOwned>(path: &Path) -> Result<T, StackError> {
    let text = std::fs::read_to_string(path).map_err(StackError::io(path.display().to_string()))?;
    serde_saphyr::from_str(&text)
        .map_err(|error| StackError::configuration(path.display().to_string(), error))
}

/// Writes a file anew.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), StackError> {
    std::fs::write(path, content).map_err(StackError::io(path.display().to_string()))
}

/// RFC 7396, except that a patch of null changes nothing: it is an option that was not given.
pub(crate) fn merge(document: &mut Value, patch: &Value) {
    if !patch.is_null() {
        json_patch::merge(document, patch);
    }
}

/// Applies RFC 6902 operations; `what` names their origin in an error.
pub(crate) fn apply(
    document: &mut Value,
    operations: Vec<Value>,
    what: &str,
) -> Result<(), StackError> {
    let patch: json_patch::Patch = serde_json::from_value(Value::Array(operations))
        .map_err(|error| StackError::configuration(what, error))?;
    json_patch::patch(document, &patch).map_err(|error| StackError::configuration(what, error))
}
