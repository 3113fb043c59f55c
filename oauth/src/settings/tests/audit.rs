use super::{example, problems, refused};
use crate::{audit::Destination, settings::Settings};

/// The example with another `audit` section.
fn with(text: &str, audit: &str) -> String {
    // What is below it is all comments.
    text.replacen("\naudit:\n", &format!("\naudit: {audit}\n"), 1)
}

#[test]
fn an_operator_who_says_nothing_has_no_audit_log() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::parse(&example(&folder), &[]).unwrap();
    assert_eq!(settings.audit.destination, Destination::Nowhere);
    assert!(!settings.audit.required);
}

#[test]
fn the_log_goes_where_the_operator_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let text = with(&example(&folder), &format!("{{ to: file, file: {path:?}, required: true }}"));
    let settings = Settings::parse(&text, &[]).unwrap();
    assert_eq!(settings.audit.destination, Destination::File(path));
    assert!(settings.audit.required);
    let text = with(&example(&folder), "{ to: stderr }");
    let settings = Settings::parse(&text, &[]).unwrap();
    assert_eq!(settings.audit.destination, Destination::StandardError);
}

#[test]
fn a_log_that_cannot_be_kept_is_refused_with_its_field() {
    refused("audit.file", |_, text| with(&text, "{ to: file }"));
    refused("audit.file", |_, text| with(&text, "{ to: file, file: /no/such/folder/audit.jsonl }"));
    refused("audit.file", |_, text| with(&text, "{ to: file, file: /dev/null }"));
    refused("audit.file", |_, text| with(&text, "{ to: stderr, file: audit.jsonl }"));
    refused("audit.required", |_, text| with(&text, "{ required: true }"));
    refused("audit.queue", |_, text| with(&text, "{ queue: 15 }"));
    refused("audit.colour", |_, text| with(&text, "{ colour: red }"));
    assert_eq!(problems(|_, text| with(&text, "{ queue: 16 }")), []);
}
