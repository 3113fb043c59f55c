use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tempfile::TempDir;

use super::{Settings, SettingsError};

mod audit;
mod bounds;
mod client_sources;
mod keys;
mod machine_credentials;
mod store;
mod telemetry;

const EXAMPLE: &str = include_str!("../../example.yaml");

/// The example, with its secrets in a folder of this test.
fn example(folder: &TempDir) -> String {
    write(folder, "sealing-key", &STANDARD.encode([7; 32]));
    write(folder, "token-tag-key", &STANDARD.encode([9; 32]));
    write(folder, "gateway-credential", &"g".repeat(40));
    write(folder, "example-backend", &"b".repeat(40));
    let secrets = folder.path().display().to_string();
    EXAMPLE.replace("/etc/ib-oauth/secrets", &secrets).replace("/var/lib/ib-oauth", &secrets)
}

fn write(folder: &TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).unwrap();
}

/// The problems with the example after a change.
fn problems(change: impl FnOnce(&TempDir, String) -> String) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let text = example(&folder);
    let changed = change(&folder, text.clone());
    match Settings::parse(&changed, &[]) {
        Ok(_) => Vec::new(),
        Err(SettingsError(found)) => {
            found.into_iter().map(|problem| (problem.field, problem.reason)).collect()
        }
    }
}

#[track_caller]
fn refused(field: &str, change: impl FnOnce(&TempDir, String) -> String) {
    let found = problems(change);
    assert!(found.iter().any(|(own, _)| own == field), "no problem with {field} in {found:?}");
}

#[test]
fn the_example_is_a_file_that_starts_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::parse(&example(&folder), &[]).unwrap();
    assert_eq!(settings.issuer.url, "https://gateway.example.com");
    assert_eq!(settings.resources.default, "https://gateway.example.com/proxy/");
    assert!(settings.clients.get("mcp-public-client").is_some());
    assert!(settings.clients.get("test-client").is_some());
    assert!(!settings.tokens.include_sid);
    assert!(!settings.intelligencebank.allow_private_addresses);
}

#[test]
fn a_section_with_every_line_commented_out_has_its_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let text = example(&folder).replacen("  include_sid: false", "  # include_sid: false", 1);
    assert!(!Settings::parse(&text, &[]).unwrap().tokens.include_sid);
}

#[test]
fn the_example_names_the_defaults_that_the_service_has() {
    let folder = tempfile::tempdir().unwrap();
    let written = example(&folder);
    // What is commented out as `name: value` says the same when it is there.
    let shown: String = written
        .lines()
        .map(|line| match line.strip_prefix("  # ") {
            Some(field)
                if field.starts_with(|c: char| c.is_ascii_lowercase())
                    && field.contains(": ")
                    && !field.starts_with("extra_ca_file")
                    && !field.starts_with("logout_path")
                    && !field.starts_with("initial_access_token_file")
                    && !field.starts_with("file: /var/log")
                    && !field.starts_with("otlp_endpoint")
                    && !field.contains("`") =>
            {
                format!("  {field}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert_ne!(shown, written);
    let (plain, shown) =
        (Settings::parse(&written, &[]).unwrap(), Settings::parse(&shown, &[]).unwrap());
    let describe = |settings: &Settings| {
        format!("{:?} {:?} {:?}", settings.tokens, settings.sessions, settings.server)
            + &format!("{:?}", settings.limits)
            + &format!("{:?} {:?}", settings.store, settings.intelligencebank)
            + &format!("{:?} {:?}", settings.registration, settings.client_documents)
            + &format!("{:?} {:?}", settings.audit, settings.telemetry)
    };
    assert_eq!(describe(&plain), describe(&shown));
}

#[test]
fn the_clients_of_the_old_bridge_keep_their_redirects() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::parse(&example(&folder), &[]).unwrap();
    let client = settings.clients.get("mcp-public-client").unwrap();
    assert!(client.is_public());
    for uri in [
        "https://app.connectingib.com/callback",
        "https://claude.ai/api/mcp/auth_callback",
        "https://claude.com/api/mcp/auth_callback",
        "http://localhost:6274/oauth/callback",
        "http://localhost:6274/oauth/callback/debug",
        "http://127.0.0.1:33418/callback",
        "http://[::1]:33418/oauth/callback",
    ] {
        assert!(client.may_redirect_to(uri), "{uri}");
    }
    assert!(!client.may_redirect_to("https://evil.com/x.connectingib.com/callback"));
}

#[test]
fn the_environment_overrides_every_kind_of_value() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("IB_OAUTH__TOKENS__CODE_SECONDS", "30"),
        ("IB_OAUTH__TOKENS__INCLUDE_SID", "true"),
        ("IB_OAUTH__LISTEN__PUBLIC", "127.0.0.1:9000"),
        ("IB_OAUTH__CLIENTS__1__NAME", "Renamed"),
        ("IB_OAUTH__INTELLIGENCEBANK__PLATFORM_HOSTS", r#"["assets.example.org"]"#),
        (
            "IB_OAUTH__DEVELOPMENT",
            r#"{"allow_private_addresses": true, "resolve": {"assets.example.org": "127.0.0.2:443"}}"#,
        ),
        ("IB_OAUTH_CONFIG", "not a field"),
        ("HOME", "/"),
    ];
    let settings = Settings::parse(&example(&folder), &environment).unwrap();
    assert_eq!(settings.tokens.code_seconds, 30);
    assert!(settings.tokens.include_sid);
    assert_eq!(settings.public_address.port(), 9000);
    assert_eq!(settings.clients.get("test-client").unwrap().name, "Renamed");
    assert!(settings.intelligencebank.platform_hosts.allows("assets.example.org"));
    assert!(!settings.intelligencebank.platform_hosts.allows("company.intelligencebank.com"));
    let fixed = settings.intelligencebank.resolve.get("assets.example.org").unwrap();
    assert_eq!(fixed.to_string(), "127.0.0.2:443");
}

#[test]
fn a_secret_in_the_wrong_place_is_refused_and_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in
        [("IB_OAUTH__TOKENS__CODE_SECOND", "secret-value"), ("IB_OAUTH__CLIENTS", "[secret-value")]
    {
        let error = Settings::parse(&example(&folder), &[(name, value)]).unwrap_err();
        assert!(!error.to_string().contains("secret-value"), "{error}");
    }
}

#[test]
fn a_key_that_was_pasted_in_place_of_its_file_is_not_printed_to_the_operators_log() {
    let folder = tempfile::tempdir().unwrap();
    for section in ["sealing", "token_tags", "gateway", "clients"] {
        let list = if section == "gateway" { "credentials" } else { "keys" };
        let list = format!("{{\"{list}\": [\"secret-value\"]}}");
        for value in ["secret-value", "[\"secret-value\"]", &list] {
            let name = format!("IB_OAUTH__{}", section.to_uppercase());
            let error = Settings::parse(&example(&folder), &[(&name, value)]).unwrap_err();
            assert!(error.0[0].field.starts_with(section), "{error}");
            assert!(!error.to_string().contains("secret-value"), "{error}");
        }
    }
    let error = Settings::parse("secret-value", &[]).unwrap_err();
    assert!(!error.to_string().contains("secret-value"), "{error}");
}

#[test]
fn a_wrong_value_where_no_secret_can_be_is_quoted_for_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["TOKENS", "SERVER", "SESSIONS", "INTELLIGENCEBANK", "LISTEN", "STORE"] {
        let variable = format!("IB_OAUTH__{name}");
        let error = Settings::parse(&example(&folder), &[(&variable, "what-was-written")]);
        assert!(error.unwrap_err().to_string().contains("what-was-written"), "{name}");
    }
}

#[test]
fn a_value_of_another_type_is_refused_and_not_converted() {
    let replace = |from: &'static str, to: &'static str| {
        move |_: &TempDir, text: String| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        }
    };
    for bad in ["yes", "7", "\"true\"", "1.0"] {
        refused("tokens.include_sid", |_, text| {
            text.replacen("include_sid: false", &format!("include_sid: {bad}"), 1)
        });
    }
    for bad in ["10.7", "\"10\"", "true", "-10", "1e1", "[10]"] {
        refused("server.shutdown_seconds", |_, text| {
            text.replacen("shutdown_seconds: 10", &format!("shutdown_seconds: {bad}"), 1)
        });
    }
    refused("clients[1].name", replace("name: Test client", "name: 7"));
    refused("listen", |_, text| {
        let addresses = "listen:\n  public: 127.0.0.1:8081\n  internal: 127.0.0.1:8082\n";
        assert!(text.contains(addresses));
        text.replacen(addresses, "listen: [ \"127.0.0.1:8081\", \"127.0.0.1:8082\" ]\n", 1)
    });
    refused("sealing.keys[0]", |_, text| {
        let line = text.lines().find(|line| line.contains("id: \"2026-11\"")).unwrap().to_owned();
        text.replace(&line, "    - [ k1, /etc/key ]")
    });
    for section in ["tokens", "server", "sessions", "intelligencebank", "development"] {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("IB_OAUTH__{}", section.to_uppercase());
        let error = Settings::parse(&example(&folder), &[(&name, "[]")]).unwrap_err();
        assert_eq!(error.0[0].field, section, "{error}");
    }
}

#[test]
fn the_environment_is_read_strictly_as_the_type_of_its_field() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value, field) in [
        ("IB_OAUTH__TOKENS__INCLUDE_SID", "yes", "tokens.include_sid"),
        ("IB_OAUTH__TOKENS__INCLUDE_SID", "1", "tokens.include_sid"),
        ("IB_OAUTH__TOKENS__INCLUDE_SID", "True", "tokens.include_sid"),
        ("IB_OAUTH__TOKENS__CODE_SECONDS", "60.7", "tokens.code_seconds"),
        ("IB_OAUTH__TOKENS__CODE_SECONDS", "+60", "tokens.code_seconds"),
        ("IB_OAUTH__TOKENS__CODE_SECONDS", " 60", "tokens.code_seconds"),
        ("IB_OAUTH__TOKENS__CODE_SECONDS", "", "tokens.code_seconds"),
        ("IB_OAUTH__TOKENS__CODE_SECONDS", "true", "tokens.code_seconds"),
        ("IB_OAUTH__TOKENS", "{\"code_seconds\": \"60\"}", "tokens.code_seconds"),
    ] {
        let error = Settings::parse(&example(&folder), &[(name, value)]).unwrap_err();
        assert_eq!(error.0[0].field, field, "{name}={value}: {error}");
    }
    let texts = [("IB_OAUTH__CLIENTS__1__NAME", "7"), ("IB_OAUTH__CLIENTS__2__ID", "true")];
    let settings = Settings::parse(&example(&folder), &texts).unwrap();
    assert_eq!(settings.clients.get("test-client").unwrap().name, "7");
    assert!(settings.clients.get("true").is_some());
}

#[test]
fn a_variable_cannot_make_a_list_as_long_as_it_likes() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "IB_OAUTH__CLIENTS__1000__NAME",
        "IB_OAUTH__CLIENTS__4000000000__NAME",
        "IB_OAUTH__CLIENTS__99999999999999999999999__NAME",
        "IB_OAUTH__CLIENTS[4000000000]__NAME",
        "IB_OAUTH__CLIENTS__-1__NAME",
        "IB_OAUTH__",
        "IB_OAUTH__CLIENTS____NAME",
        "IB_OAUTH__CLIENTS__900__900__900__900__900__900__900__900",
    ] {
        let error = Settings::parse(&example(&folder), &[(name, "x")]).unwrap_err();
        assert_eq!(error.0[0].field, name, "{error}");
    }
    assert!(Settings::parse(&example(&folder), &[("IB_OAUTH__CLIENTS__999__NAME", "x")]).is_err());
}

#[test]
fn what_would_serve_nobody_or_hides_a_mistake_is_refused() {
    refused("clients", |_, text| {
        let (others, _) = text.split_once("\nclients:").unwrap();
        format!("{others}\nclients: []\n")
    });
    refused("clients[0].scopes", |_, text| text.replacen("scopes: [profile]", "scopes: []", 1));
    refused("gateway.credentials[1].file", |folder, text| {
        write(folder, "second", &format!("{}\n", "g".repeat(40)));
        let first = text.lines().find(|line| line.contains("gateway-credential")).unwrap();
        let second = first.replace("gateway-credential", "second");
        text.replacen(first, &format!("{first}\n{second}"), 1)
    });
    refused("store.path", |folder, text| {
        let folder = folder.path().display().to_string();
        text.replacen(&format!("path: {folder}/"), &format!("path: {folder}/missing/"), 1)
    });
}

#[test]
fn hosts_with_dots_are_names_and_no_paths_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = example(&folder)
        + "\ndevelopment:\n  allow_private_addresses: true\n  resolve:\n    \
           \"company.intelligencebank.com\": \"127.0.0.2:443\"\n";
    let settings = Settings::parse(&text, &[]).unwrap();
    assert!(settings.intelligencebank.resolve.contains_key("company.intelligencebank.com"));
}

#[test]
fn every_wrong_value_is_refused_by_the_name_of_its_field() {
    let replace = |from: &'static str, to: &'static str| {
        move |_: &TempDir, text: String| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        }
    };
    let issuer = "issuer: https://gateway.example.com";
    for bad in [
        "issuer: http://gateway.example.com",
        "issuer: https://gateway.example.com/",
        "issuer: https://Gateway.example.com",
        "issuer: https://gateway.example.com:443",
        "issuer: https://gateway.example.com/dev?x=1",
        "issuer: https://gateway.example.com/.well-known",
        "issuer: https://gateway.example.com/{stage}",
        "issuer: gateway.example.com",
        "issuer: \"\"",
    ] {
        refused("issuer", replace(issuer, bad));
    }
    refused("issuers", |_, text| text.replacen("issuer:", "issuers:", 1));
    refused("log", |_, text| text.replacen("# log: info", "log: \"ib_oauth=loud\"", 1));
    refused("listen.public", replace("public: 127.0.0.1:8081", "public: localhost"));
    refused("listen.internal", replace("internal: 127.0.0.1:8082", "internal: 127.0.0.1:8081"));
    refused("store.engine", replace("engine: redb", "engine: tape"));
    refused("store.cache_megabytes", replace("# cache_megabytes: 64", "cache_megabytes: 0"));
    refused("tokens.code_seconds", replace("# code_seconds: 60", "code_seconds: 3600"));
    refused("tokens.code_seconds", replace("# code_seconds: 60", "code_seconds: -1"));
    refused("tokens.colour", replace("# code_seconds: 60", "colour: red"));
    refused("sessions.default_period_hours", replace("period_hours: 24", "period_hours: 121"));
    refused("server.shutdown_seconds", replace("shutdown_seconds: 10", "shutdown_seconds: 0"));
    refused("server.drain_seconds", replace("# drain_seconds: 0", "drain_seconds: 601"));
    for bad in ["0", "1001"] {
        let line = format!("maximum_refresh_attempts: {bad}");
        refused("sessions.maximum_refresh_attempts", |_, text| {
            text.replacen("# maximum_refresh_attempts: 5", &line, 1)
        });
    }
    for bad in ["29", "3601"] {
        let line = format!("renewal_spacing_seconds: {bad}");
        refused("sessions.renewal_spacing_seconds", |_, text| {
            text.replacen("# renewal_spacing_seconds: 30", &line, 1)
        });
    }
    refused(
        "resource",
        replace(
            "# resource: https://gateway.example.com/proxy/",
            "resource: https://other.example/",
        ),
    );
    refused(
        "additional_resources[0]",
        replace("# additional_resources: []", "additional_resources: [ /proxy ]"),
    );
    let hosts = "# platform_hosts: [ \"*.intelligencebank.com\" ]";
    refused("intelligencebank.platform_hosts[0]", replace(hosts, "platform_hosts: [ \"*\" ]"));
    refused("intelligencebank.platform_hosts", replace(hosts, "platform_hosts: []"));
    refused(
        "intelligencebank.extra_ca_file",
        replace("# extra_ca_file: /etc", "extra_ca_file: /nowhere"),
    );
    let client = "id: test-client";
    refused("clients[1].id", replace(client, "id: mcp-public-client"));
    refused("clients[1].id", replace(client, "id: \"test client\""));
    refused("clients[2].secret_file", replace("    secret_file", "    #"));
    refused("clients[2].secret_sha256", |_, text| {
        let line = text.lines().find(|line| line.contains("secret_file: ")).unwrap().to_owned();
        text.replace(&line, "    secret_sha256: abc")
    });
    refused(
        "clients[0].redirect_uris[0]",
        replace("https://*.connectingib.com/callback", "https://*/callback"),
    );
    refused("clients[0].scopes[0]", replace("scopes: [profile]", "scopes: [ \"a b\" ]"));
}

#[test]
fn all_problems_are_told_at_once_and_no_secret_among_them() {
    let found = problems(|folder, text| {
        write(folder, "gateway-credential", "s3cr3t");
        text.replacen("issuer: https", "issuer: http", 1)
    });
    let fields: Vec<_> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert!(fields.contains(&"issuer") && fields.contains(&"gateway.credentials[0].file"));
    assert!(!format!("{found:?}").contains("s3cr3t"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Settings::load(Path::new("/nowhere/settings.yaml")).unwrap_err();
    assert!(error.to_string().contains("/nowhere/settings.yaml"));
}

#[test]
fn row_17_rfc_8707_the_gateway_is_one_resource_under_all_its_urls() {
    let folder = tempfile::tempdir().unwrap();
    let text = example(&folder).replacen(
        "# additional_resources: []",
        "additional_resources: [ \"https://other.example/api\" ]",
        1,
    );
    let settings = Settings::parse(&text, &[]).unwrap();
    let ours = Some("https://gateway.example.com/proxy/");
    for asked in [
        "https://gateway.example.com/proxy/",
        "https://gateway.example.com/proxy",
        "https://gateway.example.com/proxy/company.intelligencebank.com/api",
        "https://gateway.example.com",
        "https://gateway.example.com/",
    ] {
        assert_eq!(settings.resources.audience(asked), ours, "{asked}");
    }
    let other = settings.resources.audience("https://other.example/api");
    assert_eq!(other, Some("https://other.example/api"));
    for asked in [
        "https://gateway.example.com/proxyx",
        "https://gateway.example.com/proxy/#fragment",
        "https://gateway.example.com/token",
        "https://other.example/",
        "https://evil.example/",
        "/proxy/",
        "nonsense",
    ] {
        assert_eq!(settings.resources.audience(asked), None, "{asked}");
    }
}
