//! `${name}` in the string values of a configuration.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::StackError;

/// The values of placeholders by name. A string that is one placeholder alone takes the value with
/// its type, so that a port becomes a number.
pub type Values = BTreeMap<&'static str, Value>;

/// Replaces every `${name}` in the string values of `document` (keys stay as they are).
///
/// # Errors
///
/// When a name is unknown or a brace is not closed; `what` names the document.
pub fn substitute(document: &mut Value, values: &Values, what: &str) -> Result<(), StackError> {
    match document {
        Value::String(text) => *document = substituted(text, values, what)?,
        Value::Array(items) => {
            for item in items {
                substitute(item, values, what)?;
            }
        }
        Value::Object(members) => {
            for member in members.values_mut() {
                substitute(member, values, what)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

fn substituted(text: &str, values: &Values, what: &str) -> Result<Value, StackError> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or_else(|| {
            StackError::configuration(what, format!("a placeholder is not closed in `{text}`"))
        })?;
        let value = values.get(name).ok_or_else(|| {
            let known = values.keys().copied().collect::<Vec<_>>().join(", ");
            StackError::configuration(
                what,
                format!("unknown placeholder `{name}` (known: {known})"),
            )
        })?;
        if before.is_empty() && after.is_empty() && result.is_empty() {
            return Ok(value.clone());
        }
        result.push_str(before);
        match value {
            Value::String(value) => result.push_str(value),
            other => result.push_str(&other.to_string()),
        }
        rest = after;
    }
    result.push_str(rest);
    Ok(Value::String(result))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values() -> Values {
        Values::from([("port", json!(8080)), ("address", json!("127.0.0.1"))])
    }

    fn substituted(mut document: Value) -> Result<Value, String> {
        substitute(&mut document, &values(), "test").map_err(|error| error.to_string())?;
        Ok(document)
    }

    #[test]
    fn a_lone_placeholder_keeps_the_type_so_that_a_port_is_a_number() {
        assert_eq!(substituted(json!({"p": ["${port}"]})), Ok(json!({"p": [8080]})));
        assert_eq!(substituted(json!("${address}")), Ok(json!("127.0.0.1")));
    }

    #[test]
    fn placeholders_within_a_text_become_text() {
        assert_eq!(
            substituted(json!("http://${address}:${port}/")),
            Ok(json!("http://127.0.0.1:8080/"))
        );
        assert_eq!(substituted(json!("${port}${port}")), Ok(json!("80808080")));
    }

    #[test]
    fn a_misspelt_placeholder_is_refused_by_name() {
        let error = substituted(json!({"a": "${prot}"})).unwrap_err();
        assert!(error.contains("`prot`") && error.contains("port"), "{error}");
        assert!(substituted(json!("${port")).is_err());
    }

    #[test]
    fn keys_and_other_values_stay_as_they_are() {
        let document = json!({"${port}": true, "n": null, "d": "a $ {b} $x"});
        assert_eq!(substituted(document.clone()), Ok(document));
    }
}
