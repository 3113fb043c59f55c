use serde_json::json;

use super::*;

const PRODUCTION: &str = r#"
static_resources:
  listeners:
    - name: stats
    - name: gateway
      address: { socket_address: { address: 0.0.0.0, port_value: 8443 } }
      filter_chains:
        - transport_socket: { name: envoy.transport_sockets.tls }
          filters:
            - typed_config:
                http_filters:
                  - name: cors
                  - typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        configuration:
                          value: |
                            { "prefixes": ["/proxy/"], "resource": "https://gateway.example.com/proxy/" }
                route_config:
                  virtual_hosts:
                    - name: gateway
                      routes: [ { match: { path: /token } } ]
"#;

const DEVELOPMENT: &str = r#"
bootstrap:
  - { op: test, path: /static_resources/listeners/1/name, value: gateway }
  - { op: replace, path: /static_resources/listeners/1/address/socket_address/port_value, value: "${gateway_port}" }
  - { op: remove, path: /static_resources/listeners/1/filter_chains/0/transport_socket }
plugin:
  resource: "http://127.0.0.1:${gateway_port}/proxy/"
"#;

const STATIC_UPSTREAM: &str = "bootstrap: [ { op: add, path: /static, value: true } ]";

fn made(options: &StackOptions, static_upstream: bool) -> Result<Value, String> {
    made_of(DEVELOPMENT, options, static_upstream)
}

fn made_of(overlay: &str, options: &StackOptions, static_upstream: bool) -> Result<Value, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        (PRODUCTION_FILE, PRODUCTION),
        (DEVELOPMENT_FILE, overlay),
        (STATIC_UPSTREAM_FILE, STATIC_UPSTREAM),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let values = Values::from([("gateway_port", json!(20001))]);
    let stage = Stage::new(options.stage.as_deref()).unwrap();
    let overlays = [DEVELOPMENT_FILE, STATIC_UPSTREAM_FILE];
    let overlays = if static_upstream { &overlays[..] } else { &overlays[..1] };
    bootstrap(folder.path(), overlays, &values, &stage, options).map_err(|error| error.to_string())
}

fn plugin_of(bootstrap: &Value) -> Value {
    let path = "/static_resources/listeners/1/filter_chains/0/filters/0/typed_config\
                /http_filters/1/typed_config/config/configuration/value";
    serde_json::from_str(bootstrap.pointer(path).unwrap().as_str().unwrap()).unwrap()
}

#[test]
fn development_changes_ports_and_the_plugin_and_takes_tls_off() {
    let bootstrap = made(&StackOptions::default(), false).unwrap();
    let port = "/static_resources/listeners/1/address/socket_address/port_value";
    assert_eq!(bootstrap.pointer(port), Some(&json!(20001)));
    assert!(!gateway_has_tls(&bootstrap));
    assert_eq!(
        plugin_of(&bootstrap),
        json!({"prefixes": ["/proxy/"], "resource": "http://127.0.0.1:20001/proxy/"})
    );
    assert_eq!(bootstrap.get("static"), None);
    assert!(made(&StackOptions::default(), true).unwrap().get("static").is_some());
}

#[test]
fn the_tls_that_a_test_asks_for_is_the_one_of_production() {
    let options = StackOptions { gateway_tls: true, ..StackOptions::default() };
    let bootstrap = made(&options, false).unwrap();
    let production: Value = serde_saphyr::from_str(PRODUCTION).unwrap();
    let place = "/static_resources/listeners/1/filter_chains/0/transport_socket";
    assert!(production.pointer(place).is_some());
    assert_eq!(bootstrap.pointer(place), production.pointer(place));
    assert!(gateway_has_tls(&bootstrap));
}

#[test]
fn a_tests_own_patches_come_last() {
    let options = StackOptions {
        stage: Some("/dev".to_owned()),
        plugin_configuration: json!({"prefixes": ["/other/"], "cache": {"maximum_seconds": 1}}),
        envoy_patch: vec![json!({
            "op": "add",
            "path": "/static_resources/listeners/1/filter_chains/0/transport_socket",
            "value": {"name": "own"},
        })],
        ..StackOptions::default()
    };
    let bootstrap = made(&options, false).unwrap();
    assert!(gateway_has_tls(&bootstrap));
    let route = "/static_resources/listeners/1/filter_chains/0/filters/0/typed_config\
                 /route_config/virtual_hosts/0/routes/0/match/path";
    assert_eq!(bootstrap.pointer(route), Some(&json!("/dev/token")));
    assert_eq!(
        plugin_of(&bootstrap),
        json!({
            "prefixes": ["/other/"],
            "resource": "http://127.0.0.1:20001/dev/proxy/",
            "cache": {"maximum_seconds": 1},
        })
    );
}

#[test]
fn a_patch_that_no_longer_fits_the_production_file_is_refused_by_its_name() {
    let moved = DEVELOPMENT.replace("value: gateway", "value: admin");
    let error = made_of(&moved, &StackOptions::default(), false).unwrap_err();
    assert!(error.starts_with("development.yaml"), "{error}");
    let options = StackOptions {
        envoy_patch: vec![json!({"op": "remove", "path": "/nothing/here"})],
        ..StackOptions::default()
    };
    let error = made(&options, false).unwrap_err();
    assert!(error.starts_with("envoy_patch"), "{error}");
}

#[test]
fn an_overlay_with_an_unknown_section_is_refused() {
    let error = made_of("bootstarp: []", &StackOptions::default(), false).unwrap_err();
    assert!(error.contains("bootstarp"), "{error}");
}

#[test]
fn an_application_on_this_machine_may_call_by_every_route_that_has_a_cors_policy() {
    let mut bootstrap = json!({"routes": [
        {"cors": {"allow_origin_string_match": [{"exact": "https://app.example.com"}]}},
        {"match": {"path": "/authorize"}},
        {"cors": {"allow_origin_string_match": []}},
    ]});
    let origins = [json!({"exact": "http://localhost"})];
    allow_origins(&mut bootstrap, &origins);
    let allowed =
        |route: usize| bootstrap["routes"][route]["cors"]["allow_origin_string_match"].clone();
    assert_eq!(
        allowed(0),
        json!([{"exact": "https://app.example.com"}, {"exact": "http://localhost"}])
    );
    assert_eq!(allowed(2), json!([{"exact": "http://localhost"}]));
    assert_eq!(bootstrap["routes"][1], json!({"match": {"path": "/authorize"}}));
}
