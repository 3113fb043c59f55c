//! The two files that are made from the settings' types: docs/plugin-configuration.schema.json, and the
//! table in docs/configuration.md. `make schema` writes them; otherwise they are compared.

use std::path::PathBuf;

use serde_json::Value;

use super::schema::{Field, fields, schema};

/// Set, the files are written and not compared.
const WRITE: &str = "IB_GATEWAY_WRITE_GENERATED";
const BEGIN: &str = "<!-- The table is generated: `make schema` writes it anew. -->\n";
const END: &str = "<!-- The end of the generated table. -->\n";

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

fn compare_or_write(name: &str, is: &str, should_be: &str) {
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(docs(name), should_be).unwrap();
    } else {
        assert!(is == should_be, "docs/{name} is not what the code says: run `make schema`");
    }
}

#[test]
fn the_published_schema_is_that_of_the_code() {
    let name = "plugin-configuration.schema.json";
    let is = std::fs::read_to_string(docs(name)).unwrap_or_default();
    let should_be = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    compare_or_write(name, &is, &should_be);
}

#[test]
fn the_table_of_the_settings_is_that_of_the_code() {
    let name = "configuration.md";
    let is = std::fs::read_to_string(docs(name)).unwrap();
    let (before, rest) = is.split_once(BEGIN).expect("the marker of the table's beginning");
    let (_, after) = rest.split_once(END).expect("the marker of the table's end");
    compare_or_write(name, &is, &format!("{before}{BEGIN}{}{END}{after}", table()));
}

fn table() -> String {
    let mut table =
        "| field | meaning | unit | default | bound |\n|---|---|---|---|---|\n".to_owned();
    for field in fields() {
        let path = field.path.replace("[0]", "[]");
        let [meaning, unit, default, bound] =
            [meaning(&field), unit(&field).to_owned(), default(&field), bound(&field.schema)];
        table.push_str(&format!("| `{path}` | {meaning} | {unit} | {default} | {bound} |\n"));
    }
    table
}

/// The description without its full stop at the end, and the choices there are.
fn meaning(Field { schema, .. }: &Field) -> String {
    let text = |schema: &Value| {
        let text = schema["description"].as_str().unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mut meaning = text(schema);
    for choice in schema["oneOf"].as_array().into_iter().flatten() {
        meaning.push_str(&format!(" `{}`: {}", choice["const"].as_str().unwrap(), text(choice)));
    }
    meaning.trim_end_matches('.').to_owned()
}

fn unit(Field { path, schema, .. }: &Field) -> &'static str {
    match path.rsplit('_').next() {
        _ if schema["format"] == "uri" => "URL",
        Some("milliseconds") => "ms",
        Some("seconds") => "s",
        Some("bytes") => "bytes",
        _ => "",
    }
}

fn default(Field { schema, is_required, .. }: &Field) -> String {
    match &schema["default"] {
        _ if *is_required => "required".to_owned(),
        Value::Null | Value::Object(_) => String::new(),
        Value::Number(number) => grouped(number.as_u64().unwrap()),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`").replace("\",\"", "\", \""),
    }
}

fn bound(schema: &Value) -> String {
    let span = |least: &str, most: &str| {
        let most = schema[most].as_u64()?;
        let least = schema[least].as_u64().unwrap_or(0);
        Some(format!("{} to {}", grouped(least), grouped(most)))
    };
    if let Some(entries) = span("minItems", "maxItems") {
        let each = bound(&schema["items"]);
        return if each.is_empty() {
            format!("{entries} entries")
        } else {
            format!("{entries} entries, each {each}")
        };
    }
    let choices = schema["oneOf"].as_array().into_iter().flatten().map(|choice| &choice["const"]);
    let choices = choices.chain(schema["enum"].as_array().into_iter().flatten());
    let choices: Vec<String> =
        choices.map(|choice| format!("`{}`", choice.as_str().unwrap())).collect();
    if !choices.is_empty() {
        return format!("one of {}", choices.join(", "));
    }
    let characters = span("minLength", "maxLength").map(|span| format!("{span} characters"));
    characters.or_else(|| span("minimum", "maximum")).unwrap_or_default()
}

/// With a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
