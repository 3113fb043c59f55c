//! Clients with keys, and clients that are not in the settings.

use serde_json::json;

use super::{Settings, example, problems, refused, write};
use crate::clients::{ClientKind, PrivateKey};

/// The example, in which the backend has keys in place of a secret.
fn with_keys(text: String) -> String {
    text.replace("secret_file: ", "jwks_file: ")
}

#[test]
fn a_client_may_have_public_keys_in_place_of_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_keys(example(&folder));
    let set = json!({ "keys": [PrivateKey::p256().jwk("k"), PrivateKey::rsa("PS256").jwk("l")] });
    write(&folder, "example-backend", &set.to_string());
    let settings = Settings::parse(&text, &[]).unwrap();
    let client = settings.clients.get("example-backend").unwrap();
    assert!(matches!(client.kind, ClientKind::Keys(_)));
    assert!(!client.is_public());
}

#[test]
fn a_file_with_no_usable_public_keys_is_refused_and_not_quoted() {
    for contents in
        ["", "not json", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"EC","d":"S3CR3T"}]}"#]
    {
        let found = problems(|folder, text| {
            write(folder, "example-backend", contents);
            with_keys(text)
        });
        let problem = found.iter().find(|(field, _)| field == "clients[2].jwks_file");
        let (_, reason) = problem.unwrap_or_else(|| panic!("{contents}: {found:?}"));
        assert!(!reason.contains("S3CR3T"), "{reason}");
    }
    refused("clients[2].jwks_file", |_, text| text.replace("secret_file: ", "jwks_file: /nowhere"));
    refused("clients[2].secret_file", |folder, text| {
        let keys = folder.path().join("example-backend").display().to_string();
        text.replace("    secret_file: ", &format!("    jwks_file: {keys}\n    secret_file: "))
    });
}

#[test]
fn registration_and_documents_are_off_unless_they_are_switched_on() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::parse(&example(&folder), &[]).unwrap();
    assert!(settings.registration.is_none());
    assert!(settings.client_documents.is_none());
    let on = [
        ("IB_OAUTH__REGISTRATION__ENABLED", "true"),
        ("IB_OAUTH__CLIENT_DOCUMENTS__ENABLED", "true"),
        ("IB_OAUTH__CLIENT_DOCUMENTS__ALLOWED_HOSTS", r#"["claude.ai"]"#),
    ];
    let settings = Settings::parse(&example(&folder), &on).unwrap();
    let registration = settings.registration.as_ref().unwrap();
    assert_eq!(registration.unused_seconds, 90 * 24 * 3_600);
    assert!(!registration.confidential);
    let documents = settings.client_documents.as_ref().unwrap();
    assert!(documents.allows("https://claude.ai/oauth/client.json"));
    assert!(!documents.allows("https://evil.example/client.json"));
    let warned = settings.warnings().iter().any(|problem| problem.field == "registration");
    assert!(warned, "anybody may register: that deserves a look");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let behind = |more: &str| {
        let more = more.to_owned();
        // The example has each section once; the environment's word comes last.
        move |_: &tempfile::TempDir, text: String| {
            let (section, fields) = more.split_once(": ").unwrap();
            let (before, after) = text.split_once(&format!("\n{section}:\n")).unwrap();
            let after: Vec<_> = after.lines().skip_while(|line| line.starts_with(' ')).collect();
            format!("{before}\n{section}: {fields}\n{}\n", after.join("\n"))
        }
    };
    for (field, section) in [
        ("registration.unused_days", "registration: { enabled: true, unused_days: 30 }"),
        ("registration.unused_days", "registration: { enabled: true, unused_days: 0 }"),
        ("registration.maximum_per_day", "registration: { maximum_per_day: 0 }"),
        ("registration.redirect_hosts[0]", "registration: { redirect_hosts: [ \"*.com\" ] }"),
        ("registration.scopes", "registration: { scopes: [] }"),
        (
            "registration.initial_access_token_file",
            "registration: { initial_access_token_file: /nowhere }",
        ),
        ("client_documents.allowed_hosts", "client_documents: { enabled: true }"),
        ("client_documents.allowed_hosts[0]", "client_documents: { allowed_hosts: [ \"*\" ] }"),
        ("client_documents.scopes[0]", "client_documents: { scopes: [ \"a b\" ] }"),
        (
            "client_documents.maximum_cache_seconds",
            "client_documents: { minimum_cache_seconds: 300, maximum_cache_seconds: 200 }",
        ),
    ] {
        refused(field, behind(section));
    }
    refused("clients[1].id", |_, text| text.replace("id: test-client", "id: dyn_client"));
    for path in ["logout", "/logout?x=1", "//a@b", "/a/../b", "/a b"] {
        refused("intelligencebank.logout_path", |_, text| {
            text.replace("  # api_hosts: []", &format!("  logout_path: \"{path}\""))
        });
    }
}
