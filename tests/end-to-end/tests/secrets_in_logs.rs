//! Nothing that opens anything is written down by any part, however much it is told to say.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ib_end_to_end::{
    AZURA, Connection, Deployment, Grant, LOOPBACK_REDIRECT, Machines, PATIENCE, PUBLIC_CLIENT,
    Part, REI_HOST, Request, StackOptions, Verifier, eventually, forged_token, unique, unique_hex,
};
use serde_json::json;

/// Everything, and the libraries that see headers and bodies by name.
const LOUD: &str = "trace,axum=trace,h2=trace,hyper=trace,hyper_util=trace,reqwest=trace,redb=trace,\
                    rustls=trace,tower=trace,tower_http=trace";

#[test]
fn defect_10_no_secret_of_any_login_or_call_stands_in_a_log_a_metric_or_a_dump() {
    let Some(gateway) = Deployment::own(at_their_most_verbose()) else { return };
    gateway.set_plugin_log("trace");
    let mut secrets = BTreeSet::new();
    good_login(&gateway, &mut secrets);
    failed_logins(&gateway, &mut secrets);
    bad_calls(&gateway, &mut secrets);
    secrets.extend(files_of_secrets(&gateway));
    for secret in &secrets {
        assert!(secret.len() >= 8, "too short to look for: {secret}");
    }

    await_access_log(&gateway);
    for (place, text) in everything_written(&gateway) {
        for secret in &secrets {
            if let Some((before, _)) = text.split_once(secret.as_str()) {
                let before: String = before.chars().rev().take(300).collect();
                let before: String = before.chars().rev().collect();
                panic!("{place} shows a secret, after: {before}");
            }
        }
    }
}

#[test]
fn no_key_and_no_token_of_a_machine_credential_stands_in_a_log_a_metric_a_dump_or_an_answer() {
    let Some(machines) = Machines::start(&json!({}), at_their_most_verbose()) else { return };
    let gateway = &machines.gateway;
    gateway.set_plugin_log("trace");
    let mut secrets: BTreeSet<String> = machines.secrets().into_iter().collect();
    let mut answers = Vec::new();
    let token = machines.token(AZURA);
    let mut call = |rest: &str| {
        let answer = gateway.send(&gateway.proxied_to(REI_HOST, "GET", rest).bearer(&token));
        answers.push((rest.to_owned(), answer.text()));
        answer.status
    };
    let list = "/api/v1/GetProperties/take/1/skip/0";
    assert_eq!(call(list), 200);
    // An answer that repeats what it was sent.
    assert_eq!(call("/api/v1/x?echo"), 200);
    // One that is rejected and sent again, and one that is rejected again.
    machines.kill_upstream_token(&machines.upstream_tokens().pop().unwrap());
    assert_eq!(call(list), 200);
    machines.kill_upstream_token(&machines.upstream_tokens().pop().unwrap());
    assert_eq!(call(list), 503);
    // An endpoint that quotes the keys in its error.
    let forced = || Request::post_form("/admin/credentials/refresh", &[("name", "remax-azura")]);
    let quoting = json!({ "answers": [{
        "host": REI_HOST, "path_prefix": "/api/v1/oauth/token", "status": 400,
        "body": "{\"error\":\"demo-azura-api-key\",\"detail\":\"demo-azura-secret-key\"}",
    }] });
    gateway.simulator().set(&quoting);
    for request in [forced(), Request::get("/admin/credentials")] {
        answers.push(("an operator".to_owned(), machines.as_operator(request).text()));
    }
    gateway.simulator().set(&json!({ "answers": [] }));
    answers.push(("an operator".to_owned(), machines.as_operator(forced()).text()));
    secrets.extend(machines.upstream_tokens());
    secrets.extend([token.clone(), machines.token(AZURA)]);
    secrets.extend(files_of_secrets(gateway));
    assert!(machines.upstream_tokens().len() >= 2);

    await_access_log(gateway);
    answers.extend(everything_written(gateway));
    for (place, text) in answers {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{place} shows a secret: {secret}");
        }
    }
}

#[test]
fn the_places_that_are_searched_are_really_written_to() {
    let Some(gateway) = Deployment::own(at_their_most_verbose()) else { return };
    gateway.set_plugin_log("trace");
    let _ = gateway.log_in();
    let access_log = await_access_log(&gateway);
    assert!(!access_log.contains("?echo"), "the access log holds queries");
    for part in [Part::Service, Part::Simulator, Part::Envoy] {
        let text = fs::read_to_string(gateway.stack().log_file(part)).unwrap();
        assert!(!text.is_empty(), "{part:?} wrote nothing");
    }
    let service = fs::read_to_string(gateway.stack().log_file(Part::Service)).unwrap();
    assert!(service.contains("/token"), "the service does not write about its requests");
    let envoy = fs::read_to_string(gateway.stack().log_file(Part::Envoy)).unwrap();
    assert!(envoy.contains("[trace][wasm]"), "the plugin is not at its most verbose");
}

/// Waits until Envoy, which writes its access log in batches, has written all that was served so far.
fn await_access_log(gateway: &Deployment) -> String {
    let mark = unique("last");
    gateway.send(&gateway.proxied("GET", &format!("/{mark}/user?echo")));
    eventually("the access log", PATIENCE, || {
        let text = fs::read_to_string(gateway.stack().access_log()).ok()?;
        text.contains(&mark).then_some(text)
    })
}

fn at_their_most_verbose() -> StackOptions {
    StackOptions {
        service_settings: json!({ "log": LOUD }),
        simulator_log: Some(LOUD.to_owned()),
        ..StackOptions::default()
    }
}

fn good_login(gateway: &Deployment, secrets: &mut BTreeSet<String>) {
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let authorization = client.begin();
    secrets.insert(authorization.poll_token.clone());
    secrets.insert(authorization.state.clone());
    secrets.insert(authorization.verifier.secret().to_owned());
    secrets.insert(login_token(&authorization.login_url));
    let code = client.finish(&authorization, "ada");
    secrets.insert(code.clone());
    let first = Grant::of(&client.exchange(&code, authorization.verifier.secret()));
    let second = Grant::of(&client.refresh(&first.refresh_token));
    for grant in [&first, &second] {
        secrets.insert(grant.access_token.clone());
        secrets.insert(grant.refresh_token.clone());
        secrets.insert(gateway.sid_of(&grant.access_token));
        for rest in ["/api/3.0.0/logged/user?echo", "/api/3.0.0/logged/user/forbidden"] {
            gateway.send(&gateway.proxied("GET", rest).bearer(&grant.access_token));
        }
    }
    // Spent things are secrets still: their second use is an event that parts like to write about.
    client.exchange(&code, authorization.verifier.secret());
    client.refresh(&first.refresh_token);
    let revoked = gateway.proxied("GET", "/api/3.0.0/logged/user").bearer(&second.access_token);
    gateway.send(&revoked);
}

fn failed_logins(gateway: &Deployment, secrets: &mut BTreeSet<String>) {
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    // The wrong verifier.
    let authorization = client.begin();
    let code = client.finish(&authorization, "grace");
    let wrong = Verifier::generate();
    client.exchange(&code, wrong.secret());
    secrets.extend([code, wrong.secret().to_owned(), authorization.poll_token.clone()]);
    // A login that IntelligenceBank lets expire.
    let authorization = client.begin();
    let content = login_token(&authorization.login_url);
    gateway.simulator().expire_login(&content);
    for _ in 0..3 {
        client.poll(&authorization);
    }
    secrets.extend([content, authorization.poll_token.clone(), authorization.state.clone()]);
    // What nobody issued.
    let made_up = [unique_hex(20), unique_hex(20), unique_hex(20), unique_hex(20)];
    client.exchange(&made_up[0], &format!("{}{}", made_up[1], "x".repeat(20)));
    client.refresh(&made_up[2]);
    let path = gateway.path(&format!("/authorize/poll?token={}", made_up[3]));
    gateway.send(&Request::get(path));
    secrets.extend(made_up);
    // Errors that quote what they were given.
    let state = unique("secret-state");
    let target = client.authorize_target_with(&[
        ("response_type", "code"),
        ("client_id", PUBLIC_CLIENT),
        ("redirect_uri", "https://evil.example/callback"),
        ("state", &state),
    ]);
    gateway.send(&Request::get(target));
    secrets.insert(state);
}

fn bad_calls(gateway: &Deployment, secrets: &mut BTreeSet<String>) {
    let mut secret = || {
        let secret = forged_token();
        secrets.insert(secret.clone());
        secret
    };
    let rest = "/api/3.0.0/logged/user";
    for request in [
        gateway.proxied("GET", rest).bearer(&secret()),
        gateway.proxied("GET", rest).header("authorization", format!("Basic {}", secret())),
        gateway.proxied("GET", rest).bearer(&secret()).bearer(&secret()),
        gateway.proxied("GET", rest).header("authorization", format!("Bearer \u{fc}{}", secret())),
        gateway.proxied("GET", &format!("{rest}?access_token={}", secret())),
        gateway.proxied("GET", &format!("{rest}?sid={}", secret())).bearer(&secret()),
        gateway.proxied("GET", rest).header("sid", secret()).header("cookie", secret()),
        gateway.proxied_to("example.com", "GET", "/x").bearer(&secret()),
        gateway.proxied_to("127.0.0.1", "GET", "/x").bearer(&secret()),
        Request::get("/nothing").bearer(&secret()),
        Request::post_form("/introspect", &[("token", &secret())]).bearer(&secret()),
        Request::post_form("/token", &[("client_secret", &secret()), ("password", &secret())]),
    ] {
        let _ = gateway.try_send(&request);
    }
    // The internal port, with a wrong credential and with the right one.
    let address = gateway.reach().service_internal;
    let credential = fs::read_to_string(&gateway.reach().gateway_credential_file).unwrap();
    let credential = credential.trim().trim_start_matches("Bearer ").to_owned();
    for credential in [secret(), credential] {
        let request = Request::post_form("/introspect", &[("token", &secret())]);
        let request = request.bearer(&credential);
        let mut connection = Connection::open(address).unwrap();
        let _ = connection.exchange(&request, &address.to_string());
    }
}

/// The secrets that the run made for its parts.
fn files_of_secrets(gateway: &Deployment) -> Vec<String> {
    let credential = &gateway.reach().gateway_credential_file;
    let folder = credential.parent().expect("the secrets have a folder");
    let mut secrets = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(text) = fs::read_to_string(&path) {
            secrets.push(text.trim().trim_start_matches("Bearer ").to_owned());
        }
    }
    assert!(!secrets.is_empty());
    secrets
}

fn everything_written(gateway: &Deployment) -> Vec<(String, String)> {
    let mut written = Vec::new();
    for (name, address, path) in [
        ("the service's metrics", gateway.reach().service_internal, "/metrics"),
        ("Envoy's statistics", gateway.reach().envoy_admin, "/stats"),
        ("Envoy's scrape", gateway.stack().addresses().envoy_stats, "/stats/prometheus"),
        ("Envoy's configuration dump", gateway.reach().envoy_admin, "/config_dump?include_eds"),
        ("Envoy's clusters", gateway.reach().envoy_admin, "/clusters"),
        ("Envoy's server information", gateway.reach().envoy_admin, "/server_info"),
    ] {
        written.push((name.to_owned(), gateway.ask(address, path).with_status(200).text()));
    }
    let mut files: BTreeSet<PathBuf> = [Part::Service, Part::Simulator, Part::Envoy]
        .into_iter()
        .map(|part| gateway.stack().log_file(part))
        .collect();
    files.insert(gateway.stack().access_log());
    files.extend(logs_below(&gateway.stack().addresses().run_directory));
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        written.push((file.display().to_string(), text));
    }
    written
}

fn logs_below(folder: &Path) -> Vec<PathBuf> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            logs.extend(logs_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
    logs
}

fn login_token(login_url: &str) -> String {
    let url = url::Url::parse(login_url).unwrap();
    let token = url.query_pairs().find(|(name, _)| name == "token");
    token.expect("a login URL holds its token").1.into_owned()
}
