//! Every bound of the schema, driven through the real parser: the value at it is accepted, the one past
//! it refused by its name.

use serde_json::{Value, json};

use super::schema::{Field, fields, misfit, schema};
use crate::config::read;

/// A configuration with an entry in every list, in which each field can go to its bounds alone.
fn base() -> Value {
    json!({
        "prefixes": ["/proxy/"],
        "allowed_hosts": ["a.example"],
        "allowed_ports": [443],
        "resource_metadata": "https://gateway.example/metadata",
        "resource": "https://gateway.example/proxy/",
        "token_service": {"cluster": "token_service", "authority": "token-service.internal"},
        "cache": {"maximum_seconds": 3600, "refused_seconds": 1},
        "rules": [{"hosts": ["a.example"], "methods": ["GET"], "path_prefixes": ["/a"], "scope": "a"}],
        "tunnel_paths": ["/api/json"],
    })
}

/// The base with one value replaced. The path is that of the fields: `rules[0].scope`.
fn with(path: &str, value: Value) -> Value {
    let mut configuration = base();
    let pointer = format!("/{}", path.replace("[0]", "/0").replace('.', "/"));
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let mut place = &mut configuration;
    for name in parent.split('/').skip(1) {
        place = match name.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[name],
        };
    }
    match name.parse::<usize>() {
        Ok(index) => place[index] = value,
        Err(_) => place[name] = value,
    }
    // A rule can only be for hosts that are allowed.
    if path.starts_with("allowed_hosts") {
        configuration["rules"] = json!([]);
    } else if path == "rules[0].hosts[0]" {
        configuration["allowed_hosts"] = configuration["rules"][0]["hosts"].clone();
    }
    configuration
}

fn is_accepted(path: &str, value: &Value) -> bool {
    let configuration = with(path, value.clone());
    let is_accepted = match read(configuration.to_string().as_bytes()) {
        Ok(_) => true,
        Err(error) => {
            let is_named = |path| error.to_string().contains(&format!("`{path}"));
            let is_copied = path == "rules[0].hosts[0]" && is_named("allowed_hosts[0]");
            assert!(is_named(path) || is_copied, "{path}: {error}");
            false
        }
    };
    if is_accepted {
        assert_eq!(misfit(&schema(), &configuration), None, "the schema is stricter at {path}");
    }
    is_accepted
}

/// `a.a.a`, or with a longer label at its end, of `length` bytes.
fn dotted(length: usize) -> String {
    let mut name: String = "a.".chars().cycle().take(length).collect();
    if name.ends_with('.') {
        name.replace_range(length - 1.., "a");
    }
    name
}

/// Texts of a length, one of which each text field takes where it takes that length at all.
fn texts(length: usize) -> Vec<String> {
    let fill = |before: &str, after: &str| {
        let filling = length.checked_sub(before.len() + after.len())?;
        Some(format!("{before}{}{after}", "a".repeat(filling)))
    };
    let name = |before: &str, after: &str| {
        let filling = length.checked_sub(before.len() + after.len())?;
        Some(format!("{before}{}{after}", dotted(filling)))
    };
    let shapes = [
        fill("", ""),
        fill("/", ""),
        fill("/", "/"),
        fill("http://", ""),
        name("", ""),
        name("*.", "."),
        name("", ".:65535"),
    ];
    shapes.into_iter().flatten().filter(|text| text.len() == length).collect()
}

fn check_lengths(path: &str, least: usize, most: usize, values: impl Fn(usize) -> Vec<Value>) {
    let takes = |length| values(length).iter().any(|value| is_accepted(path, value));
    assert!(takes(least), "{path} does not take its least length, {least}");
    assert!(takes(most), "{path} does not take its greatest length, {most}");
    assert!(least == 0 || !takes(least - 1), "{path} takes a length of {}", least - 1);
    assert!(!takes(most + 1), "{path} takes a length of {}", most + 1);
}

fn check_field(path: &str, schema: &Value) {
    let bound = |keyword| schema[keyword].as_u64();
    if schema["type"] == "integer" {
        let (least, most) = (bound("minimum").unwrap(), bound("maximum").unwrap());
        assert!(is_accepted(path, &json!(least)) && is_accepted(path, &json!(most)), "{path}");
        assert!(
            !is_accepted(path, &json!(i64::try_from(least).unwrap() - 1)),
            "{path} below {least}"
        );
        assert!(!is_accepted(path, &json!(most + 1)), "{path} above {most}");
    }
    let length = |keyword| bound(keyword).and_then(|length| usize::try_from(length).ok());
    if let Some(most) = length("maxLength") {
        let values = |length| texts(length).into_iter().map(Value::from).collect();
        check_lengths(path, length("minLength").unwrap_or(0), most, values);
    }
    if let Some(most) = length("maxItems") {
        let entry = base()
            .pointer(&format!("/{}/0", path.replace("[0]", "/0").replace('.', "/")))
            .cloned()
            .unwrap();
        let values = |length| vec![json!(vec![entry.clone(); length])];
        check_lengths(path, length("minItems").unwrap_or(0), most, values);
    }
    for choice in schema["oneOf"].as_array().into_iter().flatten() {
        assert!(is_accepted(path, &choice["const"]), "{path}");
    }
    for choice in schema["enum"].as_array().into_iter().flatten() {
        assert!(is_accepted(path, choice), "{path}");
    }
    if schema.get("oneOf").or(schema.get("enum")).is_some() {
        assert!(!is_accepted(path, &json!("neither")), "{path}");
    }
}

#[test]
fn every_bound_that_the_schema_tells_is_the_one_that_the_parser_keeps() {
    for Field { path, schema, .. } in fields() {
        check_field(&path, &schema);
        if schema["items"]["type"] != "object" && schema["items"].is_object() {
            check_field(&format!("{path}[0]"), &schema["items"]);
        }
    }
}

#[test]
fn every_default_that_the_schema_tells_is_within_its_bounds_and_accepted() {
    for Field { path, schema, is_required } in fields() {
        match schema.get("default") {
            Some(default) => {
                assert_eq!(misfit(&schema, default), None, "{path}");
                assert!(is_accepted(&path, default), "{path}");
            }
            None => assert!(is_required, "{path} has neither a default nor is it required"),
        }
    }
}
