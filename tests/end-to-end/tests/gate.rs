//! What holds when a part of the gateway is taken out: the locks behind the plugin, the guard of private
//! addresses, the ports beside the public one.
#![cfg(test)]

use std::fs;

use ib_end_to_end::{
    Connection, Deployment, PLATFORM_HOST, Part, Request, StackOptions, envoy_folder, unique,
};
use serde_json::{Value, json};

const FILTERS: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";

#[test]
fn without_the_plugin_nothing_passes_whatever_a_client_sends() {
    let plugin = filter_of_type("wasm");
    let options = StackOptions {
        envoy_patch: vec![json!({ "op": "remove", "path": format!("{FILTERS}/{plugin}") })],
        ..StackOptions::default()
    };
    assert_closed(options);
}

#[test]
fn without_the_plugin_and_its_gate_the_route_still_leads_nowhere() {
    let plugin = filter_of_type("wasm");
    let gate = plugin + 1;
    let production = production();
    let after = &production.pointer(FILTERS).unwrap()[gate];
    assert!(after["typed_config"]["@type"].as_str().unwrap().contains("rbac"), "no gate: {after}");
    // From the last to the first, so that the indices hold.
    let options = StackOptions {
        envoy_patch: vec![
            json!({ "op": "remove", "path": format!("{FILTERS}/{gate}") }),
            json!({ "op": "remove", "path": format!("{FILTERS}/{plugin}") }),
        ],
        ..StackOptions::default()
    };
    assert_closed(options);
}

#[test]
fn an_upstream_name_that_resolves_to_a_private_address_is_refused() {
    // Development allows loopback, where the simulator is; production's list refuses it.
    let production = production();
    let filters = production.pointer(FILTERS).unwrap().as_array().unwrap();
    let guard = filters
        .iter()
        .position(|filter| filter.to_string().contains("upstream_ip_port"))
        .expect("a guard of upstream addresses");
    let options = StackOptions {
        envoy_patch: vec![
            json!({ "op": "replace", "path": format!("{FILTERS}/{guard}"), "value": filters[guard] }),
        ],
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    let grant = gateway.log_in();
    let mark = unique("rebound");
    let rest = format!("/api/3.0.0/{mark}/user?echo");
    let answer = gateway.send(&gateway.proxied("GET", &rest).bearer(&grant.access_token));
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.json()["error"].is_string(), "{answer:?}");
    gateway.simulator().assert_nothing_marked(&mark);
}

#[test]
fn an_upstream_with_a_certificate_of_somebody_else_gets_no_session() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let grant = gateway.log_in();
    let rest = "/api/3.0.0/trust/user?echo";
    // A new start makes a new certificate authority, which Envoy has not been told to trust.
    gateway.kill(Part::Simulator);
    gateway.start_part(Part::Simulator);
    let answer = gateway.send(&gateway.proxied("GET", rest).bearer(&grant.access_token));
    assert_eq!(answer.status, 502, "{answer:?}");
    let arrived = gateway.simulator().requests_since(0);
    assert!(arrived.is_empty(), "something was sent to a stranger: {arrived:?}");
}

#[test]
fn row_14_rfc_7662_2_1_the_internal_port_tells_the_sessions_secret_to_the_gateway_alone() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let grant = gateway.log_in();
    let sid = gateway.sid_of(&grant.access_token);
    let address = gateway.reach().service_internal;
    let ask = |credential: Option<&str>| {
        let mut request = Request::post_form("/introspect", &[("token", &grant.access_token)]);
        if let Some(credential) = credential {
            request = request.bearer(credential);
        }
        let mut connection = Connection::open(address).unwrap();
        connection.exchange(&request, &address.to_string()).unwrap()
    };
    let credential = fs::read_to_string(&gateway.reach().gateway_credential_file).unwrap();
    let credential = credential.trim();
    let shorter = credential.get(1..).unwrap();
    for wrong in [None, Some("wrong"), Some(shorter), Some(grant.access_token.as_str())] {
        let answer = ask(wrong);
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(!answer.text().contains(&sid), "{answer:?}");
    }
    let answer = ask(Some(credential)).with_status(200).json();
    assert_eq!(answer["active"], json!(true));
    assert_eq!(answer["upstreams"][0]["headers"]["sid"], json!(sid));
    let hosts = answer["upstreams"][0]["hosts"].as_array().unwrap();
    assert!(hosts.contains(&json!(PLATFORM_HOST)), "{answer}");
    assert_eq!(gateway.ask(address, "/readyz").status, 200);
    let by_gateway = [("caller", "gateway"), ("result", "active")];
    assert!(gateway.service_metric("oauth_introspections_total", &by_gateway) >= 2.0);
}

#[test]
fn the_statistics_port_shows_metrics_and_nothing_else_of_the_admin_interface() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let address = gateway.stack().addresses().envoy_stats;
    let metrics = gateway.ask(address, "/stats/prometheus").with_status(200);
    assert!(metrics.text().contains("envoy_"), "no metrics");
    for path in
        ["/config_dump", "/certs", "/clusters", "/stats/recentlookups", "/", "/logging", "/memory"]
    {
        let answer = gateway.ask(address, path);
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
    }
    for path in ["/quitquitquit", "/logging?level=debug", "/drain_listeners", "/stats/prometheus"] {
        let mut connection = Connection::open(address).unwrap();
        let request = Request::new("POST", path).body("");
        let answer = connection.exchange(&request, &address.to_string()).unwrap();
        assert!((400..500).contains(&answer.status), "POST {path}: {answer:?}");
    }
}

/// Starts a stack and asserts that no request reaches an upstream through it.
#[track_caller]
fn assert_closed(options: StackOptions) {
    let Some(gateway) = Deployment::own(options) else { return };
    let grant = gateway.log_in();
    for host in [gateway.host(), PLATFORM_HOST.to_owned()] {
        for target in [
            format!("/proxy/{PLATFORM_HOST}/api/3.0.0/x/user?echo"),
            format!("/proxy/{PLATFORM_HOST}"),
            "/api/3.0.0/x/user?echo".to_owned(),
            "/".to_owned(),
        ] {
            let mark = unique("closed");
            let request = Request::get(&target)
                .header("host", &host)
                .header("x-mark", &mark)
                .header("sid", "forged")
                .header("SID", "forged twice")
                .header("x-ib-gateway", "approved")
                .header("wasm.ib_gateway", "approved client=x subject=x")
                .header("ib-gateway", "approved client=x subject=x")
                .bearer(&grant.access_token);
            let answer = gateway.send(&request);
            assert!(answer.status >= 400, "{target}: {answer:?}");
            gateway.simulator().assert_nothing_marked(&mark);
        }
    }
}

fn production() -> Value {
    let text = fs::read_to_string(envoy_folder().join("envoy.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// The place of the one filter whose type has this word.
#[track_caller]
fn filter_of_type(word: &str) -> usize {
    let production = production();
    let filters = production.pointer(FILTERS).unwrap().as_array().unwrap();
    let matching: Vec<_> = filters
        .iter()
        .enumerate()
        .filter(|(_, filter)| {
            filter["typed_config"]["@type"].as_str().is_some_and(|kind| kind.contains(word))
        })
        .map(|(index, _)| index)
        .collect();
    assert_eq!(matching.len(), 1, "filters of type {word}");
    matching[0]
}
