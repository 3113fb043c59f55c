use super::{Settings, example, refused, write};

/// The example with a line of a section in place of the one that is commented out there.
#[track_caller]
fn refused_with(field: &str, line: &str) {
    let (name, _) = line.split_once(':').unwrap();
    refused(field, |_, text| {
        let shown = text.lines().find(|own| own.starts_with(&format!("  # {name}:"))).unwrap();
        text.replacen(shown, &format!("  {line}"), 1)
    });
}

#[test]
fn a_limit_that_cannot_be_meant_is_refused_by_its_name() {
    let rate = |rate: &str| format!("token: {{ address: {{ {rate} }} }}");
    refused_with("limits.token.address.burst", &rate("per_minute: 60, burst: 0"));
    refused_with("limits.token.address.per_minute", &rate("per_minute: 100000001"));
    refused_with("limits.token.address.burst", &rate("per_minute: 6, burst: 10000001"));
    refused_with("limits.token.address.per_minute", &rate("per_minute: \"off\""));
    refused_with("limits.token.address", &rate("burst: 6"));
    refused_with("limits.token.platform", "token: { platform: { per_minute: 6 } }");
    refused_with("limits.login.platform.burst", "login: { platform: { per_minute: 6, burst: 0 } }");
    refused_with("limits.pending_logins.total", "pending_logins: { total: 0 }");
    refused_with("limits.pending_logins.address", "pending_logins: { address: 1000001 }");
    refused_with("limits.maximum_keys", "maximum_keys: 0");
}

#[test]
fn bounds_of_connections_and_platforms_are_checked() {
    refused_with("server.trusted_hops", "trusted_hops: 17");
    refused_with("server.maximum_header_bytes", "maximum_header_bytes: 8191");
    for name in ["header", "body", "write", "idle"] {
        let name = format!("{name}_timeout_seconds");
        refused_with(&format!("server.{name}"), &format!("{name}: 0"));
    }
    for name in [
        "maximum_concurrent",
        "maximum_concurrent_per_platform",
        "circuit_failures",
        "circuit_open_seconds",
    ] {
        refused_with(&format!("intelligencebank.{name}"), &format!("{name}: 0"));
    }
}

#[test]
fn certificates_that_cannot_be_used_keep_the_service_from_starting() {
    let key = rcgen::KeyPair::generate().unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["oauth.internal".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let with = |changed: &'static str, name: &'static str, text: &str| {
        let (certificate, key) = (certificate.clone(), key.serialize_pem());
        let text = text.to_owned();
        move |folder: &tempfile::TempDir, example: String| {
            write(folder, "internal.crt", &certificate);
            write(folder, "internal.key", &key);
            write(folder, "client-ca.crt", &certificate);
            write(folder, changed, &text);
            let path = |name: &str| folder.path().join(name);
            format!(
                "{example}\ninternal_tls: {{ certificate_file: {:?}, key_file: {:?}, \
                 client_ca_file: {:?}, client_names: [ {name:?} ] }}\n",
                path("internal.crt"),
                path("internal.key"),
                path("client-ca.crt"),
            )
        }
    };
    let good = "gateway.internal";
    refused("internal_tls.certificate_file", with("internal.crt", good, "nothing"));
    refused("internal_tls.key_file", with("internal.key", good, "nothing"));
    refused("internal_tls.key_file", with("internal.key", good, &other.serialize_pem()));
    refused("internal_tls.client_ca_file", with("client-ca.crt", good, ""));
    refused("internal_tls.client_names[0]", with("unused", "no name", ""));
    let folder = tempfile::tempdir().unwrap();
    let text = with("unused", good, "")(&folder, example(&folder));
    let settings = Settings::parse(&text, &[]).unwrap();
    assert_eq!(settings.internal_tls.unwrap().client_names.len(), 1);
    // A secret in the wrong place is not repeated.
    let error = Settings::parse(&text, &[("IB_OAUTH__INTERNAL_TLS", "secret-value")]).unwrap_err();
    assert!(!error.to_string().contains("secret-value"), "{error}");
}
