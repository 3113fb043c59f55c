//! The published schema, made from the types of `written`, and what the other tests ask of it.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::config::written::Configuration;

/// The schema as it is published.
pub(super) fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
    });
    let schema = settings.into_generator().into_root_schema_for::<Configuration>();
    let mut schema = schema.to_value();
    without_widths(&mut schema);
    schema["title"] = "Configuration of the ib-gateway plugin".into();
    schema
}

/// Takes out the formats of Rust's integers, which no validator knows; bounds say the same.
fn without_widths(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|name, value| {
                let is_width = value.as_str().is_some_and(|format| format.starts_with("uint"));
                !(name == "format" && is_width)
            });
            members.values_mut().for_each(without_widths);
        }
        Value::Array(entries) => entries.iter_mut().for_each(without_widths),
        _ => {}
    }
}

/// A field of the schema, with its path: dotted, `[0]` for an entry of a list.
pub(super) struct Field {
    pub(super) path: String,
    pub(super) schema: Value,
    pub(super) is_required: bool,
}

/// Every field, required ones first; the fields of a field come after it.
pub(super) fn fields() -> Vec<Field> {
    let mut fields = Vec::new();
    collect("", &schema(), &mut fields);
    fields
}

fn collect(path: &str, schema: &Value, fields: &mut Vec<Field>) {
    let nothing = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&nothing);
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut names: Vec<&String> = properties.keys().collect();
    names.sort_by_key(|name| !required.contains(&name.as_str()));
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let schema = &properties[name];
        let is_required = required.contains(&name.as_str());
        fields.push(Field { path: path.clone(), schema: schema.clone(), is_required });
        collect(&path, schema, fields);
        collect(&format!("{path}[0]"), &schema["items"], fields);
    }
}

/// What of a value does not fit a schema: the first path, or nothing. Fails the test at a keyword that
/// it does not know, so that no part of the schema goes unchecked.
pub(super) fn misfit(schema: &Value, value: &Value) -> Option<String> {
    misfit_at(".", schema, value)
}

fn misfit_at(path: &str, schema: &Value, value: &Value) -> Option<String> {
    let number = value.as_f64();
    let length = match value {
        Value::String(text) => Some(text.chars().count()),
        Value::Array(entries) => Some(entries.len()),
        _ => None,
    };
    #[allow(clippy::cast_precision_loss, reason = "lengths of test values are small")]
    let length = length.map(|length| length as f64);
    let fits =
        schema.as_object().unwrap().iter().all(|(keyword, operand)| match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "format" => true,
            "type" => match operand.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                other => panic!("unknown type {other}"),
            },
            "minimum" => number.is_none_or(|number| number >= operand.as_f64().unwrap()),
            "maximum" => number.is_none_or(|number| number <= operand.as_f64().unwrap()),
            "minLength" | "minItems" => {
                length.is_none_or(|length| length >= operand.as_f64().unwrap())
            }
            "maxLength" | "maxItems" => {
                length.is_none_or(|length| length <= operand.as_f64().unwrap())
            }
            "const" => value == operand,
            "enum" => operand.as_array().unwrap().contains(value),
            "oneOf" => {
                let choices = operand.as_array().unwrap().iter();
                choices.filter(|choice| misfit_at(path, choice, value).is_none()).count() == 1
            }
            "required" => {
                let names = operand.as_array().unwrap().iter();
                names.map(|name| name.as_str().unwrap()).all(|name| value.get(name).is_some())
            }
            "additionalProperties" => {
                assert_eq!(operand, &Value::Bool(false));
                let mut names = value.as_object().into_iter().flat_map(|object| object.keys());
                names.all(|name| schema["properties"].get(name).is_some())
            }
            "properties" | "items" => true,
            other => panic!("unknown keyword {other}"),
        });
    if !fits {
        return Some(path.to_owned());
    }
    let named = value.as_object().into_iter().flatten();
    let mut named = named.map(|(name, value)| (name.clone(), &schema["properties"][name], value));
    let listed = value.as_array().into_iter().flatten().enumerate();
    let mut listed = listed.map(|(index, value)| (index.to_string(), &schema["items"], value));
    let mut inner = |(name, schema, value): (String, &Value, &Value)| {
        misfit_at(&format!("{path}{name}."), schema, value)
    };
    named.find_map(&mut inner).or_else(|| listed.find_map(&mut inner))
}

#[test]
fn an_operator_who_reads_the_schema_finds_every_field_described_and_every_number_bounded() {
    for Field { path, schema, .. } in fields() {
        assert!(schema["description"].is_string(), "{path} has no description");
        for schema in [&schema, &schema["items"]] {
            if schema["type"] == "integer" {
                assert!(schema["minimum"].is_number() && schema["maximum"].is_number(), "{path}");
            }
            if schema["type"] == "string" && schema.get("oneOf").is_none() {
                assert!(schema["maxLength"].is_number() || schema["enum"].is_array(), "{path}");
            }
            if schema["type"] == "array" {
                assert!(schema["maxItems"].is_number(), "{path}");
            }
            if schema["type"] == "object" {
                assert_eq!(schema["additionalProperties"], false, "{path}");
            }
        }
    }
}
