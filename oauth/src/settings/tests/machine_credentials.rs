//! Machine credentials, and the clients that may use them.

use tempfile::TempDir;

use super::{Settings, SettingsError};

const BRANDS: &str = r#"
machine_credentials:
  credentials: [ { name: remax-azura }, { name: remax-blue-ocean } ]
"#;

const AZURA: [(&str, &str); 4] = [
    ("REMAX_AZURA_API_URL", "https://remax-cca.com/api/v1"),
    ("REMAX_AZURA_API_KEY", "S3CR3T-4p1"),
    ("REMAX_AZURA_INTEGRATOR_ID", "S3CR3T-1d"),
    ("REMAX_AZURA_SECRET_KEY", "S3CR3T-k3y"),
];

const BLUE_OCEAN: [(&str, &str); 4] = [
    ("REMAX_BLUE_OCEAN_API_URL", "https://remax-cca.com/api/v1/"),
    ("REMAX_BLUE_OCEAN_API_KEY", "S3CR3T-5p1"),
    ("REMAX_BLUE_OCEAN_INTEGRATOR_ID", "S3CR3T-2d"),
    ("REMAX_BLUE_OCEAN_SECRET_KEY", "S3CR3T-l3y"),
];

/// The example, without its section about machine credentials, in which everything is commented out.
fn example(folder: &TempDir) -> String {
    super::example(folder).replace("\nmachine_credentials:\n", "\n")
}

/// The settings of the example with `more` behind them and this environment.
fn parse(more: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    Settings::parse(&(example(&folder) + more), environment)
}

fn with(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = AZURA.into_iter().chain(BLUE_OCEAN).collect();
    for (name, value) in changes {
        all.retain(|(own, _)| own != name);
        all.push((name, value));
    }
    all
}

/// The fields of what is wrong; no reason may quote a key.
fn problems(more: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let Err(SettingsError(found)) = parse(more, environment) else { return Vec::new() };
    assert!(!found.iter().any(|problem| problem.reason.contains("S3CR3T")), "{found:?}");
    found.into_iter().map(|problem| problem.field).collect()
}

#[test]
fn credentials_come_from_the_variables_of_their_brand() {
    let settings = parse(BRANDS, &with(&[])).unwrap();
    let credentials = &settings.machine_credentials;
    assert_eq!(credentials.refresh_buffer_seconds, 1_800);
    let blue = credentials.named("remax-blue-ocean").unwrap();
    assert_eq!(blue.api_url, "https://remax-cca.com/api/v1");
    assert_eq!((blue.host.as_str(), blue.api_key.expose()), ("remax-cca.com", "S3CR3T-5p1"));
    assert_eq!(blue.scope, "upstream:remax-blue-ocean");
    let azura = credentials.named("remax-azura").unwrap();
    assert_ne!(azura.record, blue.record);
    // Other keys, another record: their tokens are not mixed up.
    let changed = parse(BRANDS, &with(&[("REMAX_AZURA_SECRET_KEY", "S3CR3T-other")])).unwrap();
    assert_ne!(changed.machine_credentials.named("remax-azura").unwrap().record, azura.record);
}

#[test]
fn the_variable_of_the_buffer_stands_before_the_file_and_must_be_a_number() {
    let file = format!("{BRANDS}  refresh_buffer_minutes: 10\n");
    assert_eq!(parse(&file, &with(&[])).unwrap().machine_credentials.refresh_buffer_seconds, 600);
    let buffer = |text| with(&[("TOKEN_REFRESH_BUFFER_MINUTES", text)]);
    for (text, seconds) in [("45", 2_700), ("0", 0)] {
        let settings = parse(&file, &buffer(text)).unwrap();
        assert_eq!(settings.machine_credentials.refresh_buffer_seconds, seconds);
    }
    for text in ["thirty", "-5", "+5", "1.5", "30m", "99999999999999999999", "600000"] {
        assert_eq!(problems(&file, &buffer(text)), ["TOKEN_REFRESH_BUFFER_MINUTES"], "{text}");
    }
    for text in ["thirty", "-5", "1.5"] {
        let file = format!("{BRANDS}  refresh_buffer_minutes: {text}\n");
        let field = "machine_credentials.refresh_buffer_minutes";
        assert_eq!(problems(&file, &with(&[])), [field], "{text}");
    }
}

#[test]
fn a_missing_or_unusable_value_is_told_by_its_name_and_not_by_its_contents() {
    let without: Vec<_> = AZURA.into_iter().chain(BLUE_OCEAN.into_iter().skip(2)).collect();
    let field = "machine_credentials.credentials[1]";
    let expected = [format!("{field}.api_url"), format!("{field}.api_key_file")];
    assert_eq!(problems(BRANDS, &without), expected);
    for url in [
        "http://remax-cca.com/api/v1",
        "https://remax-cca.com:8443/api/v1",
        "https://S3CR3T@remax-cca.com/api/v1",
        "https://127.0.0.1/api/v1",
        "https://REMAX-cca.com/api/v1",
        "https://remax-cca.com/api/v1?key=S3CR3T",
        "https://remax-cca.com/api/../v1",
        "https://company.intelligencebank.com/api/v1",
        "remax-cca.com",
    ] {
        let found = problems(BRANDS, &with(&[("REMAX_AZURA_API_URL", url)]));
        assert_eq!(found.len(), 1, "{url}: {found:?}");
        assert!(found[0].ends_with("api_url") || found[0] == "REMAX_AZURA_API_URL", "{found:?}");
    }
    let spaced = with(&[("REMAX_AZURA_API_KEY", "S3CR3T with a space")]);
    assert_eq!(problems(BRANDS, &spaced), ["REMAX_AZURA_API_KEY"]);
    let twice = BRANDS.replace("remax-blue-ocean", "remax-azura");
    assert_eq!(problems(&twice, &with(&[])), [format!("{field}.name")]);
    let capitals = BRANDS.replace("remax-blue-ocean", "Remax");
    assert_eq!(problems(&capitals, &with(&[])), [format!("{field}.name")]);
}

#[test]
fn only_clients_that_act_for_themselves_may_have_a_credential() {
    let client = |changes: &str| {
        format!("\n  - {{ id: sync, secret_sha256: \"{}\", {changes} }}\n{BRANDS}", "a".repeat(64))
    };
    let good = "type: confidential, grant_types: [client_credentials], \
                scopes: ['upstream:remax-azura']";
    assert_eq!(problems(&client(good), &with(&[])), Vec::<String>::new());
    for (from, to, field) in [
        ("remax-azura", "remax-nobody", "scopes[0]"),
        ("grant_types: [client_credentials], ", "", "scopes[0]"),
        ("[client_credentials]", "[client_credentials, authorization_code]", "grant_types"),
        ("[client_credentials]", "[refresh_token]", "grant_types"),
        ("[client_credentials]", "[]", "grant_types"),
        ("type: confidential", "type: public", "type"),
        ("grant_types", "redirect_uris: ['https://x.example/cb'], grant_types", "redirect_uris"),
    ] {
        let found = problems(&client(&good.replace(from, to)), &with(&[]));
        assert!(found.iter().any(|own| own.ends_with(&format!("].{field}"))), "{to}: {found:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let text = example(&folder) + BRANDS;
    let text = text.replace("  # scopes: [ profile ] ", "  scopes: [ 'upstream:remax-azura' ] ");
    let SettingsError(found) = Settings::parse(&text, &with(&[])).unwrap_err();
    let fields: Vec<_> = found.into_iter().map(|problem| problem.field).collect();
    assert_eq!(fields, ["registration.scopes[0]", "client_documents.scopes[0]"]);
}
