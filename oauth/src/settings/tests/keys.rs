//! Keys and secrets in the settings.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Settings, example, problems, refused, write};

#[test]
fn exposed_secrets_and_development_settings_are_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let text = example(&folder);
    let mode = |name: &str, mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path().join(name), permissions).unwrap();
    };
    let fields = |text: &str| -> Vec<String> {
        let settings = Settings::parse(text, &[]).unwrap();
        settings.warnings().iter().map(|warning| warning.field.clone()).collect()
    };
    for name in ["sealing-key", "token-tag-key", "gateway-credential", "example-backend"] {
        mode(name, 0o600);
    }
    assert!(fields(&text).is_empty());
    mode("sealing-key", 0o640);
    mode("token-tag-key", 0o644);
    mode("gateway-credential", 0o604);
    mode("example-backend", 0o644);
    let exposed = [
        "sealing.keys[0].file",
        "token_tags.keys[0].file",
        "gateway.credentials[0].file",
        "clients[2].secret_file",
    ];
    assert_eq!(fields(&text), exposed);
    for name in ["sealing-key", "token-tag-key", "gateway-credential", "example-backend"] {
        mode(name, 0o400);
    }
    assert_eq!(fields(&format!("{text}\ndevelopment: {{}}\n")), ["development"]);
    let all = "{ allow_private_addresses: true, resolve: { a.example: \"127.0.0.1:1\" } }";
    assert_eq!(
        fields(&format!("{text}\ndevelopment: {all}\n")),
        ["development", "development.allow_private_addresses", "development.resolve"]
    );
}

#[test]
fn a_missing_or_short_secret_keeps_the_service_from_starting() {
    let key = "sealing.keys[0].file";
    refused(key, |folder, text| {
        std::fs::remove_file(folder.path().join("sealing-key")).unwrap();
        text
    });
    for bad in ["", "not base64!", &STANDARD.encode([7; 16]), &STANDARD.encode([0; 32])] {
        refused(key, |folder, text| {
            write(folder, "sealing-key", bad);
            text
        });
    }
    for bad in ["", "short", &"x y".repeat(20), &"x".repeat(5000)] {
        refused("gateway.credentials[0].file", |folder, text| {
            write(folder, "gateway-credential", bad);
            text
        });
    }
    refused("sealing.keys", |_, text| {
        let line = text.lines().find(|line| line.contains("id: \"2026-11\"")).unwrap().to_owned();
        text.replace(&line, "    []")
    });
}

/// What is wrong with these tag keys, whose files are called FIRST and SECOND.
fn tagged(keys: &str) -> Vec<String> {
    let found = problems(|folder, text| {
        write(folder, "b", &STANDARD.encode([8; 32]));
        let line = text.lines().find(|line| line.contains("2026k11")).unwrap().to_owned();
        let folder = folder.path().display().to_string();
        let keys = keys.replace("FIRST", &format!("{folder}/token-tag-key"));
        text.replace(&line, &format!("    {}", keys.replace("SECOND", &format!("{folder}/b"))))
    });
    found.into_iter().map(|(field, _)| field).collect()
}

#[test]
fn tag_keys_that_the_gateway_could_not_use_are_refused_by_name() {
    assert!(
        tagged("[ { id: a, file: FIRST }, { id: 0123456789abcdef, file: SECOND } ]").is_empty()
    );
    let long = "[ { id: 0123456789abcdefg, file: FIRST } ]";
    for id in ["\"\"", "a-b", "a_b", "\"a b\"", "\u{e9}"] {
        let keys = format!("[ {{ id: {id}, file: FIRST }} ]");
        assert_eq!(tagged(&keys)[0], "token_tags.keys[0].id", "{id}");
    }
    assert_eq!(tagged(long), ["token_tags.keys[0].id"]);
    let twice = "[ { id: a, file: FIRST }, { id: a, file: SECOND } ]";
    assert_eq!(tagged(twice), ["token_tags.keys[1].id"]);
    assert_eq!(tagged("[]"), ["token_tags.keys"]);
    let nine: Vec<_> = (0..9).map(|n| format!("{{ id: k{n}, file: FIRST }}")).collect();
    assert_eq!(tagged(&format!("[ {} ]", nine.join(", "))), ["token_tags.keys"]);
    assert_eq!(tagged("[ { id: a, file: /nowhere/at/all } ]"), ["token_tags.keys[0].file"]);
}

#[test]
fn without_a_tag_key_the_service_does_not_start() {
    let missing = problems(|_, text| {
        let (before, after) = text.split_once("\ntoken_tags:\n").unwrap();
        let (_, after) = after.split_once("\n\n").unwrap();
        format!("{before}\n{after}")
    });
    assert!(missing[0].1.contains("token_tags"), "{missing:?}");
    for bad in ["", "not base64!", &STANDARD.encode([7; 31]), &STANDARD.encode([0; 32])] {
        refused("token_tags.keys[0].file", |folder, text| {
            write(folder, "token-tag-key", bad);
            text
        });
    }
}

#[test]
fn a_sealing_key_is_never_handed_to_the_gateway_as_a_tag_key() {
    refused("token_tags.keys", |folder, text| {
        write(folder, "token-tag-key", &STANDARD.encode([7; 32]));
        text
    });
}

/// What is wrong with the example when this stands in place of its `token_tags`, and this `signing`
/// section and token format behind it. KEY is a file with a key that signs, TAG one that tags.
fn sourced(token_tags: &str, signing: &str, format: &str) -> Vec<(String, String)> {
    problems(|folder, text| {
        let path = |name: &str| folder.path().join(name).display().to_string();
        let key = folder.path().join("signing-key");
        crate::keys::generate(Some(crate::keys::KeyKind::Signing), &key).unwrap();
        let (before, after) = text.split_once("\ntoken_tags:\n").unwrap();
        let (_, after) = after.split_once("\n\n").unwrap();
        let format = format!("  access_token_format: {format}\n  include_sid");
        let after = after.replace("  include_sid", &format);
        format!("{before}\ntoken_tags: {token_tags}\n{signing}\n{after}")
            .replace("KEY", &path("signing-key"))
            .replace("TAG", &path("token-tag-key"))
    })
}

const TAGS: &str = "{ keys: [ { id: t1, file: TAG } ] }";

#[test]
fn keys_come_from_files_or_from_the_store_and_a_service_that_issues_jwts_has_some() {
    let files = "signing: { keys: [ { id: k1, file: KEY } ], publish_seconds: 10 }";
    let store = "{ source: store, publish_seconds: 60, rotate_days: 0 }";
    for (tags, signing, format) in [
        (TAGS, "", "opaque"),
        (TAGS, files, "opaque"),
        (TAGS, files, "jwt"),
        (store, "signing: { source: store }", "jwt"),
        ("{ source: files, keys: [ { id: t1, file: TAG } ] }", "", "opaque"),
    ] {
        assert_eq!(sourced(tags, signing, format), [], "{tags} {signing} {format}");
    }
    let field = |tags: &str, signing: &str, format: &str| -> Vec<String> {
        sourced(tags, signing, format).into_iter().map(|(field, _)| field).collect()
    };
    assert_eq!(field(TAGS, "", "jwt"), ["signing"]);
    assert_eq!(field("{}", "", "opaque"), ["token_tags.keys"]);
    assert_eq!(field("{ source: files }", "", "opaque"), ["token_tags.keys"]);
    let both = "{ source: store, keys: [ { id: t1, file: TAG } ] }";
    assert_eq!(field(both, "", "opaque"), ["token_tags.keys"]);
    let aged = "{ keys: [ { id: t1, file: TAG } ], rotate_days: 3 }";
    assert_eq!(field(aged, "", "opaque"), ["token_tags.rotate_days"]);
    let hasty = "{ source: store, publish_seconds: 59 }";
    assert_eq!(field(hasty, "", "opaque"), ["token_tags.publish_seconds"]);
    let hasty = "signing: { source: store, publish_seconds: 9, rotate_days: 3651 }";
    assert_eq!(field(TAGS, hasty, "jwt"), ["signing.publish_seconds", "signing.rotate_days"]);
}

#[test]
fn signing_keys_that_could_not_be_used_are_refused_by_name_and_nothing_of_them_is_shown() {
    let with = |keys: &str| sourced(TAGS, &format!("signing: {{ keys: {keys} }}"), "jwt");
    let field = |keys: &str| with(keys).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    assert_eq!(field("[]"), ["signing.keys"]);
    let nine: Vec<_> = (0..9).map(|n| format!("{{ id: k{n}, file: KEY }}")).collect();
    assert_eq!(field(&format!("[ {} ]", nine.join(", ")))[0], "signing.keys");
    for id in ["\"\"", "a.b", "\"a b\"", "\u{e9}", &"a".repeat(33)] {
        assert_eq!(field(&format!("[ {{ id: {id}, file: KEY }} ]"))[0], "signing.keys[0].id");
    }
    let twice = "[ { id: a, file: KEY }, { id: a, file: KEY } ]";
    assert_eq!(field(twice), ["signing.keys[1].id", "signing.keys[1].file"]);
    // A key that tags is none that signs, and what it holds is not repeated.
    let found = with("[ { id: a, file: TAG } ]");
    assert_eq!(found[0].0, "signing.keys[0].file");
    assert!(!found[0].1.contains("CQkJ"), "{found:?}");
}

#[test]
fn no_setting_that_holds_keys_shows_one() {
    let folder = tempfile::tempdir().unwrap();
    let shown = format!("{:?}", Settings::parse(&example(&folder), &[]).unwrap());
    for secret in ["BwcH", "CQkJ", "gggg", "[7, 7", "[9, 9"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[test]
fn an_operator_never_has_the_credential_of_the_gateway() {
    let with = |path: std::path::PathBuf, text: &str| {
        format!("{text}\nadmin: {{ credentials: [ {{ file: {path:?} }} ] }}\n")
    };
    refused("admin.credentials", |folder, text| {
        with(folder.path().join("gateway-credential"), &text)
    });
    refused("admin.credentials[0].file", |folder, text| {
        write(folder, "operator", "short");
        with(folder.path().join("operator"), &text)
    });
}
