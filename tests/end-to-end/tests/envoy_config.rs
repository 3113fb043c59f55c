//! The files in `envoy/`: Envoy takes them as they stand, the production file serves TLS and HTTP/2, and
//! a plugin configuration with a mistake in it is refused by name.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ib_end_to_end::{
    Deployment, EnvoyProcess, PRODUCTION_NAME, StackOptions, envoy_folder, free_port,
    production_bootstrap, production_folder, validate,
};
use serde_json::{Value, json};

#[test]
fn envoy_accepts_the_production_file_as_it_stands() {
    let folder = production_folder();
    let output = validate(folder.path(), "envoy.yaml");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let warnings: Vec<_> = said
        .lines()
        .filter(|line| line.contains("eprecated") || line.contains("unknown field"))
        // What 1.40 has in its place, 1.36 does not know (`content_type_matcher`).
        .filter(|line| !line.contains("Compressor.CommonDirectionConfig.content_type'"))
        .collect();
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn every_bootstrap_in_the_folder_is_checked() {
    let bootstraps: BTreeSet<String> = fs::read_dir(envoy_folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            let value: Value = serde_saphyr::from_str(&text).unwrap();
            value.get("static_resources").is_some()
        })
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(bootstraps, BTreeSet::from(["envoy.yaml".to_owned()]), "check the others too");
}

#[test]
fn envoy_accepts_what_the_overlays_make_of_the_production_file() {
    for fallback in [false, true] {
        let options = StackOptions { simulator_port_8443: fallback, ..StackOptions::default() };
        let Some(gateway) = Deployment::own(options) else { return };
        // A stack has started on it: it is valid. And it serves.
        let grant = gateway.log_in();
        let request = gateway.proxied("GET", "/api/3.0.0/overlay/user?echo");
        gateway.send(&request.bearer(&grant.access_token)).with_status(200);
    }
}

#[test]
fn the_production_file_serves_tls_with_http2_and_http11() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let folder = production_folder();
    let listener = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let certificate = fs::read(folder.path().join("tls/tls.crt")).unwrap();
    let mut bootstrap = production_bootstrap();
    set_address(&mut bootstrap, "/admin", admin);
    set_address(&mut bootstrap, "/static_resources/listeners/0", listener);
    let stats = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    set_address(&mut bootstrap, "/static_resources/listeners/1", stats);
    set_cluster(&mut bootstrap, "oauth_public", gateway.reach().service_public);
    set_cluster(&mut bootstrap, "token_service", gateway.reach().service_internal);
    fs::write(folder.path().join("changed.json"), bootstrap.to_string()).unwrap();
    let _envoy = EnvoyProcess::start(folder.path(), "changed.json", admin);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for (http11_only, version) in
            [(false, reqwest::Version::HTTP_2), (true, reqwest::Version::HTTP_11)]
        {
            let mut builder = reqwest::Client::builder()
                .tls_certs_only([reqwest::Certificate::from_pem(&certificate).unwrap()])
                .resolve(PRODUCTION_NAME, listener)
                .no_proxy()
                .timeout(Duration::from_secs(20));
            if http11_only {
                builder = builder.http1_only();
            }
            let client = builder.build().unwrap();
            let base = format!("https://{PRODUCTION_NAME}:{}", listener.port());
            let answer = client.get(format!("{base}/healthz")).send().await.unwrap();
            assert_eq!(answer.version(), version);
            assert_eq!(answer.status(), 200);
            let url = format!("{base}/proxy/company.intelligencebank.com/x");
            let answer = client.get(url).send().await.unwrap();
            assert_eq!(answer.version(), version);
            assert_eq!(answer.status(), 401);
            let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            assert_eq!(body["error"], json!("invalid_request"));
        }
    });
}

#[test]
fn a_client_on_tls_and_http2_gets_through_to_intelligencebank_with_its_body() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let grant = gateway.log_in();
    let folder = gateway.stack().addresses().run_directory.clone();
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let listener = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let stats = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    // The stack's own file, with the listener's TLS as production has it.
    let text = fs::read_to_string(folder.join("envoy.json")).unwrap();
    let mut bootstrap: Value = serde_json::from_str(&text).unwrap();
    let socket = "/static_resources/listeners/0/filter_chains/0";
    let production = production_bootstrap();
    bootstrap.pointer_mut(socket).unwrap()["transport_socket"] =
        production.pointer(socket).unwrap()["transport_socket"].clone();
    set_address(&mut bootstrap, "/admin", admin);
    set_address(&mut bootstrap, "/static_resources/listeners/0", listener);
    set_address(&mut bootstrap, "/static_resources/listeners/1", stats);
    fs::write(folder.join("tls.json"), bootstrap.to_string()).unwrap();
    let _envoy = EnvoyProcess::start(&folder, "tls.json", admin);

    let authority = fs::read(folder.join("tls/ca.crt")).unwrap();
    let body = "0123456789abcdef".repeat(1 << 16);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&authority).unwrap()])
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        let url = format!("https://{listener}/proxy/company.intelligencebank.com/api/x/y?echo");
        let request = client.post(url).bearer_auth(&grant.access_token).body(body.clone());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
        assert_eq!(answer.status(), 200);
        let echo: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(echo["body_length"], json!(body.len()));
        assert_eq!(echo["method"], json!("POST"));
        assert!(echo["headers"]["sid"].is_string(), "{echo}");
        assert!(echo["headers"]["authorization"].is_null(), "{echo}");
    });
}

#[test]
fn a_mistake_in_the_plugins_configuration_is_refused_by_the_fields_name() {
    for (field, patch) in [
        ("allowed_host", json!({ "allowed_host": ["company.intelligencebank.com"] })),
        ("prefixes", json!({ "prefixes": ["proxy"] })),
        ("allowed_hosts", json!({ "allowed_hosts": ["*"] })),
        ("timeout_milliseconds", json!({ "token_service": { "timeout_milliseconds": 0 } })),
        ("resource_metadata", json!({ "resource_metadata": "not a url" })),
    ] {
        let options =
            StackOptions { plugin_configuration: patch.clone(), ..StackOptions::default() };
        let Some(refused) = Deployment::refused(options) else { return };
        assert!(refused.contains(field), "the reason does not name {field}: {refused}");
    }
}

#[track_caller]
fn set_address(bootstrap: &mut Value, pointer: &str, address: SocketAddr) {
    let place = bootstrap.pointer_mut(&format!("{pointer}/address/socket_address")).unwrap();
    *place = json!({ "address": address.ip().to_string(), "port_value": address.port() });
}

#[track_caller]
fn set_cluster(bootstrap: &mut Value, name: &str, address: SocketAddr) {
    let clusters = bootstrap.pointer_mut("/static_resources/clusters").unwrap();
    let cluster = clusters
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|cluster| cluster["name"] == json!(name))
        .unwrap_or_else(|| panic!("no cluster {name}"));
    let endpoint = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint";
    let mut endpoint = cluster.pointer_mut(endpoint).unwrap().take();
    set_address(&mut endpoint, "", address);
    *cluster.pointer_mut("/load_assignment/endpoints/0/lb_endpoints/0/endpoint").unwrap() =
        endpoint;
}
