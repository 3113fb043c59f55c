//! Every example of a plugin configuration in the repository, through the real parser and the schema:
//! those in Envoy's files, the overlays on top of them, and the JSON in the documentation.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::schema::{misfit, schema};
use crate::config::read;

const WASM_FILTER: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files with an extension under a folder, in order.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files.extend(self::files(&entry, extension));
        } else if entry.extension().is_some_and(|other| other == extension) {
            files.push(entry);
        }
    }
    files.sort();
    files
}

/// The plugin configurations anywhere within a bootstrap.
fn within(document: &Value, found: &mut Vec<String>) {
    if document["@type"] == WASM_FILTER {
        let text = document.pointer("/config/configuration/value").and_then(Value::as_str);
        found.push(text.expect("a wasm filter with a configuration").to_owned());
    }
    let inner: Vec<&Value> = match document {
        Value::Object(members) => members.values().collect(),
        Value::Array(entries) => entries.iter().collect(),
        _ => Vec::new(),
    };
    inner.into_iter().for_each(|inner| within(inner, found));
}

/// Fills in `${names}`: a URL, and else something that is a label of a host and a port alike.
fn filled_in(text: &str) -> String {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        filled.push_str(if name == "gateway_url" { "http://1" } else { "1" });
        filled.push_str(rest);
    }
    filled
}

fn assert_good(name: &str, configuration: &str) {
    if let Err(error) = read(configuration.as_bytes()) {
        panic!("{name}: {error}");
    }
    let value = serde_json::from_str(configuration).unwrap();
    assert_eq!(misfit(&schema(), &value), None, "{name} does not fit the schema");
}

/// The configuration in production's envoy.yaml.
fn production() -> Value {
    let text = fs::read_to_string(repository().join("envoy/envoy.yaml")).unwrap();
    let mut found = Vec::new();
    within(&serde_saphyr::from_str(&text).unwrap(), &mut found);
    assert_eq!(found.len(), 1, "one plugin in envoy.yaml");
    serde_json::from_str(&found[0]).unwrap()
}

#[test]
fn an_operator_can_start_from_any_file_of_envoy() {
    let mut overlays = 0;
    // The manifests for Kubernetes, in folders of their own, have their own checks (tests/manifests).
    let folder = repository().join("envoy");
    let own = files(&folder, "yaml").into_iter().filter(|file| file.parent() == Some(&folder));
    for file in own {
        let name = file.display().to_string();
        let document: Value =
            serde_saphyr::from_str(&filled_in(&fs::read_to_string(&file).unwrap())).unwrap();
        let mut found = Vec::new();
        within(&document, &mut found);
        found.iter().for_each(|configuration| assert_good(&name, configuration));
        if document["plugin"].is_object() {
            let mut configuration = production();
            json_patch::merge(&mut configuration, &document["plugin"]);
            assert_good(&name, &configuration.to_string());
            overlays += 1;
        }
    }
    assert!(overlays > 0, "development.yaml patches the plugin's configuration");
}

#[test]
fn an_operator_can_paste_any_json_of_the_documentation() {
    let schema = schema();
    let mut pieces = 0;
    let documents = ["docs", "filter", "envoy", "tests"];
    let documents = documents.iter().flat_map(|name| files(&repository().join(name), "md"));
    for file in documents.chain([repository().join("README.md")]) {
        let text = fs::read_to_string(&file).unwrap();
        for block in text.split("```json\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let Ok(Value::Object(members)) = serde_json::from_str(block) else { continue };
            // A piece of a configuration has none but its fields.
            if members.is_empty()
                || !members.keys().all(|name| schema["properties"][name].is_object())
            {
                continue;
            }
            let mut configuration = production();
            json_patch::merge(&mut configuration, &Value::Object(members));
            assert_good(&file.display().to_string(), &configuration.to_string());
            pieces += 1;
        }
    }
    assert!(pieces > 0, "docs/configuration.md shows an example of rules");
}
