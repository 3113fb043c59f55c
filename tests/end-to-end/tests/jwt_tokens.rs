//! JWT access tokens that the service issues: their whole way, the rotation of the keys that sign them, and
//! what an attacker makes of them.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ib_end_to_end::{
    Deadline, Deployment, Es256Key, Grant, LOOPBACK_REDIRECT, PATIENCE, PUBLIC_CLIENT, Part,
    Request, Snippet, StackOptions, assert_error_body, assert_refusal, eventually, unique,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The bound on how long something that has ended may still be used.
const BOUND: Duration = Duration::from_secs(2);
/// How long the service publishes a key before it signs, in these tests.
const PUBLISH_SECONDS: u64 = 10;
/// Outside `/api/` the simulator answers whatever the sid.
const REST: &str = "/jwt/user?echo";

/// The snippet as it stands, for a service on this machine that signs with these keys.
fn options(signing: &Value) -> StackOptions {
    let base = "http://${gateway_address}:${gateway_port}";
    let mut options = Snippet::read("jwt.yaml").options();
    let mut changed = false;
    for operation in &mut options.envoy_patch {
        if let Some(own) = operation.pointer_mut("/value/typed_config/providers/oauth_service") {
            own["issuer"] = json!(base);
            own["audiences"] = json!([format!("{base}/proxy/")]);
            own["remote_jwks"]["http_uri"]["uri"] = json!(format!("{base}/jwks.json"));
            // Twice as often as this.
            own["remote_jwks"]["cache_duration"] = json!("2s");
            changed = true;
        }
    }
    assert!(changed, "the snippet names its provider otherwise");
    options.service_settings =
        json!({ "tokens": { "access_token_format": "jwt" }, "signing": signing });
    options
}

fn in_store() -> Value {
    json!({ "source": "store", "publish_seconds": PUBLISH_SECONDS, "rotate_days": 0 })
}

#[test]
fn a_jwt_of_the_service_opens_its_session_and_is_refused_within_two_seconds_when_it_is_revoked() {
    let Some(gateway) = Deployment::own(options(&in_store())) else { return };
    gateway.await_feeds();
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let (grant, other) = (client.log_in("ada"), client.log_in("grace"));
    assert_eq!(header(&grant.access_token)["typ"], "at+jwt");
    let mut workers = gateway.connection_to_each_worker();
    let mut call = |token: &str| -> Vec<u16> {
        let request = gateway.proxied("GET", REST).bearer(token);
        let answers = workers.iter_mut().map(|worker| worker.exchange(&request, &gateway.host()));
        answers.map(|answer| answer.expect("an answer").status).collect()
    };
    assert!(call(&grant.access_token).iter().all(|status| *status == 200));
    let answer = gateway.send(&gateway.proxied("GET", REST).bearer(&grant.access_token)).json();
    let seen = &answer["headers"];
    assert!(seen["sid"].is_string() && seen.get("authorization").is_none(), "{seen}");
    assert!(call(&other.access_token).iter().all(|status| *status == 200));

    let clock = Deadline::after(PATIENCE);
    client.revoke(&grant.access_token).with_status(200);
    eventually("the token to be refused by every worker", BOUND * 2, || {
        call(&grant.access_token).iter().all(|status| *status == 401).then_some(())
    });
    assert!(clock.elapsed() < BOUND, "it was still good after {:?}", clock.elapsed());
    assert!(call(&other.access_token).iter().all(|status| *status == 200));
    let refreshed = Grant::of(&client.refresh(&grant.refresh_token));
    assert!(call(&refreshed.access_token).iter().all(|status| *status == 200));
}

#[test]
fn a_signing_key_rotates_under_load_and_no_request_fails() {
    let Some(gateway) = Deployment::own(options(&in_store())) else { return };
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let first = client.log_in("ada");
    let current = Mutex::new(first.clone());
    let (stopped, requests) = (AtomicBool::new(false), Mutex::new(0_u32));
    let old = kid(&first.access_token);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut connection = gateway.connect().within(PATIENCE * 10);
                while !stopped.load(Ordering::SeqCst) {
                    let newest = current.lock().unwrap().access_token.clone();
                    for token in [&newest, &first.access_token] {
                        let request = gateway.proxied("GET", REST).bearer(token);
                        let answer = connection.exchange(&request, &gateway.host());
                        let status = answer.expect("an answer").status;
                        assert_eq!(status, 200, "a token of key {}", kid(token));
                        *requests.lock().unwrap() += 1;
                    }
                    thread::sleep(Duration::from_millis(10));
                }
            });
        }
        // Each new token is used at once: a key that signs before Envoy knows it would be noticed.
        let refresh = || {
            let refresh_token = current.lock().unwrap().refresh_token.clone();
            let next = Grant::of(&client.refresh(&refresh_token));
            let kid = kid(&next.access_token);
            *current.lock().unwrap() = next;
            thread::sleep(Duration::from_millis(100));
            kid
        };
        let clock = Deadline::after(PATIENCE * 10);
        let (mut before, mut after) = (0, 0);
        while clock.elapsed() < Duration::from_secs(1) {
            assert_eq!(refresh(), old);
        }
        signal(&gateway, "-USR1");
        while after < 10 {
            assert!(clock.elapsed() < PATIENCE * 4, "the new key does not sign");
            if refresh() == old { before += 1 } else { after += 1 }
        }
        stopped.store(true, Ordering::SeqCst);
        assert!(before > 10, "the new key signed before it was known: {before}");
    });
    let published = kids(&gateway);
    assert_eq!(published.len(), 2, "the old key stays while its tokens live: {published:?}");
    assert!(*requests.lock().unwrap() > 100);
}

#[test]
fn a_gateway_for_jwts_serves_opaque_tokens_from_before_and_refuses_invented_ones_unasked() {
    let mut options = options(&in_store());
    options.service_settings["tokens"]["access_token_format"] = json!("opaque");
    let Some(gateway) = Deployment::own(options) else { return };
    gateway.await_feeds();
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let opaque = client.log_in("ada");
    let served = |token: &str| gateway.send(&gateway.proxied("GET", REST).bearer(token)).status;
    assert!(opaque.access_token.starts_with("ibg_at_"));
    assert_eq!(served(&opaque.access_token), 200);
    let asked = gateway.introspections();
    let mark = unique("invented");
    for invented in [
        ib_end_to_end::forged_token(),
        format!("{}x", opaque.access_token),
        format!("{}.e30.c2ln", opaque.access_token),
        format!("{},Bearer e30.e30.c2ln", opaque.access_token),
    ] {
        let request = gateway.proxied("GET", &format!("/{mark}?echo")).bearer(&invented);
        assert!([400, 401].contains(&gateway.send(&request).status), "{invented}");
    }
    gateway.simulator().assert_nothing_marked(&mark);
    assert_eq!(gateway.introspections(), asked, "the service was asked");

    // The service changes to JWTs.
    let settings = gateway.stack().addresses().run_directory.join("oauth.yaml");
    let text = fs::read_to_string(&settings).expect("the settings");
    let mut changed: Value = serde_saphyr::from_str(&text).expect("YAML");
    changed["tokens"]["access_token_format"] = json!("jwt");
    fs::write(&settings, changed.to_string()).expect("the settings");
    gateway.kill(Part::Service);
    gateway.start_part(Part::Service);
    let jwt = Grant::of(&client.refresh(&opaque.refresh_token));
    assert_eq!(header(&jwt.access_token)["alg"], "ES256");
    assert_eq!((served(&opaque.access_token), served(&jwt.access_token)), (200, 200));
}

#[test]
fn a_token_of_a_key_that_was_removed_is_refused_and_keys_in_files_rotate_by_a_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = (key(&folder, "one"), key(&folder, "two"));
    let list = |keys: &[&(PathBuf, Es256Key)]| -> Value {
        let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        keys.iter().map(|(path, _)| json!({ "id": name(path), "file": path })).collect()
    };
    let signing = json!({ "keys": list(&[&one]) });
    let Some(gateway) = Deployment::own(options(&signing)) else { return };
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let (old, unseen) = (client.log_in("ada"), client.log_in("grace"));
    let served = |token: &str| gateway.send(&gateway.proxied("GET", REST).bearer(token)).status;
    assert_eq!((kid(&old.access_token).as_str(), served(&old.access_token)), ("one", 200));

    let settings = gateway.stack().addresses().run_directory.join("oauth.yaml");
    let reload = |keys: &[&(PathBuf, Es256Key)]| {
        let text = fs::read_to_string(&settings).expect("the settings");
        let mut changed: Value = serde_saphyr::from_str(&text).expect("YAML");
        changed["signing"]["keys"] = list(keys);
        fs::write(&settings, changed.to_string()).expect("the settings");
        signal(&gateway, "-HUP");
        eventually("the keys to be read again", PATIENCE, || {
            (kids(&gateway).len() == keys.len()).then_some(())
        });
    };
    reload(&[&one, &two]);
    // Envoy fetches the keys each second: the second fetch from now has begun after this.
    let await_envoy = || {
        let known = jwks_fetches(&gateway);
        eventually("Envoy to know the keys", PATIENCE, || {
            (jwks_fetches(&gateway) >= known + 2).then_some(())
        });
    };
    await_envoy();
    reload(&[&two, &one]);
    let new = eventually("the new key to sign", PATIENCE, || {
        let grant = client.log_in("ada");
        (kid(&grant.access_token) == "two").then_some(grant)
    });
    let mut workers = gateway.connection_to_each_worker();
    for token in [&new.access_token, &old.access_token] {
        let request = gateway.proxied("GET", REST).bearer(token);
        for worker in &mut workers {
            let answer = worker.exchange(&request, &gateway.host()).expect("an answer");
            assert_eq!(answer.status, 200, "a token of key {}", kid(token));
        }
    }

    reload(&[&two]);
    await_envoy();
    // (A worker that has approved a token remembers that for as long as the filter's cache says.)
    let asked = gateway.introspections();
    let mark = unique("removed");
    let request = gateway.proxied("GET", &format!("/{mark}?echo")).bearer(&unseen.access_token);
    for worker in &mut workers {
        let answer = worker.exchange(&request, &gateway.host()).expect("an answer");
        assert_refusal(&answer, 401, "invalid_token", "Invalid or expired access token");
    }
    assert_eq!(gateway.introspections(), asked, "the service was asked");
    let ask = Request::get("/userinfo").bearer(&old.access_token);
    assert_eq!(gateway.send(&ask).status, 401, "the service itself forgets at once");
    assert_eq!(served(&new.access_token), 200);
    gateway.simulator().assert_nothing_marked(&mark);
}

#[test]
fn whoever_has_the_key_or_half_of_it_gets_no_further_with_a_token_that_the_service_did_not_make() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = key(&folder, "one");
    let signing = json!({ "keys": [{ "id": "one", "file": own.0 }] });
    let Some(gateway) = Deployment::own(options(&signing)) else { return };
    let grant = gateway.log_in();
    let (header, claims) = (header(&grant.access_token), claims(&grant.access_token));
    let sign = |header: &Value, claims: &Value| own.1.token(header, claims);
    let with = |value: &Value, name: &str, other: Value| {
        let mut value = value.clone();
        value[name] = other;
        value
    };
    let unsigned = |alg: &str| {
        let header = with(&header, "alg", json!(alg));
        format!("{}.{}.", encoded(&header), encoded(&claims))
    };
    let public_key_as_secret = {
        let text =
            format!("{}.{}", encoded(&with(&header, "alg", json!("HS256"))), encoded(&claims));
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, own.1.public());
        let tag = ring::hmac::sign(&secret, text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let signature = grant.access_token.rsplit_once('.').expect("a signature").1;
    let stranger = Es256Key::generate();
    for (what, token) in [
        ("another audience", sign(&header, &with(&claims, "aud", json!("https://a.example/")))),
        ("another issuer", sign(&header, &with(&claims, "iss", json!("https://evil.example")))),
        ("expired", sign(&header, &with(&claims, "exp", json!(now() - 120)))),
        ("another type", sign(&with(&header, "typ", json!("JWT")), &claims)),
        ("another person", sign(&header, &with(&claims, "sub", json!("somebody-else")))),
        ("a second signature of the same", sign(&header, &claims)),
        ("another algorithm", sign(&with(&header, "alg", json!("ES384")), &claims)),
        ("no algorithm", unsigned("none")),
        ("no signature", unsigned("ES256")),
        ("the public key as a secret", public_key_as_secret),
        ("a key of one's own under the same name", stranger.token(&header, &claims)),
        ("an unknown key", sign(&with(&header, "kid", json!("two")), &claims)),
        (
            "the signature of another token",
            format!(
                "{}.{}.{signature}",
                encoded(&header),
                encoded(&with(&claims, "sub", json!("x")))
            ),
        ),
    ] {
        let mark = unique("forged");
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let request = gateway
                .proxied("GET", &format!("/{mark}?echo"))
                .header("authorization", format!("{scheme} {token}"));
            let answer = gateway.send(&request);
            assert_eq!(answer.status, 401, "{what}");
            assert_error_body(&answer, 401, "invalid_token");
        }
        gateway.simulator().assert_nothing_marked(&mark);
        // The service's own resource is no easier.
        let request = Request::get(gateway.path("/userinfo")).bearer(&token);
        assert_eq!(gateway.send(&request).status, 401, "{what}");
    }
    let request = gateway.proxied("GET", REST).bearer(&grant.access_token);
    gateway.send(&request).with_status(200);
}

#[test]
fn neither_the_key_set_nor_logs_nor_metrics_show_a_private_part() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = key(&folder, "one");
    let mut options = options(&json!({ "keys": [{ "id": "one", "file": own.0 }] }));
    options.service_settings["log"] = json!("trace");
    let Some(gateway) = Deployment::own(options) else { return };
    let grant = gateway.log_in();
    assert_eq!(kid(&grant.access_token), "one");
    signal(&gateway, "-HUP");
    eventually("the keys to be read again", PATIENCE, || {
        (gateway.service_metric("oauth_key_reloads_total", &[("result", "success")]) > 0.0)
            .then_some(())
    });
    let pem = fs::read_to_string(&own.0).expect("the key");
    let private = own.1.private_parts();
    let set = gateway.send(&Request::get("/jwks.json")).with_status(200).text();
    let metrics = gateway.ask(gateway.reach().service_internal, "/metrics").text();
    let log =
        fs::read_to_string(gateway.stack().addresses().run_directory.join("logs/service.log"))
            .expect("the log");
    assert!(log.contains("read again"), "the log of this service");
    for (where_, text) in [("key set", &set), ("metrics", &metrics), ("log", &log)] {
        for secret in private
            .iter()
            .map(String::as_str)
            .chain(pem.lines().filter(|line| !line.starts_with("--")))
        {
            assert!(!text.contains(secret), "a private part is in the {where_}");
        }
    }
    assert!(!set.contains("\"d\""), "{set}");
}

/// A new key in a file as `openssl genpkey` would write it.
fn key(folder: &TempDir, name: &str) -> (PathBuf, Es256Key) {
    let key = Es256Key::generate();
    let path = folder.path().join(name);
    fs::write(&path, key.pem()).expect("a file");
    (path, key)
}

fn signal(gateway: &Deployment, name: &str) {
    let process = gateway.process_id(Part::Service).to_string();
    assert!(Command::new("kill").args([name, &process]).status().expect("kill").success());
}

fn kids(gateway: &Deployment) -> BTreeSet<String> {
    let set = gateway.send(&Request::get("/jwks.json")).with_status(200).json();
    let keys = set["keys"].as_array().expect("keys");
    keys.iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

fn jwks_fetches(gateway: &Deployment) -> u64 {
    let counts = gateway.envoy_stats("jwt_authn.jwks_fetch_success");
    counts.into_iter().map(|(_, count)| count).sum()
}

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap_or_else(|| panic!("no JWT: {token}"));
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn header(token: &str) -> Value {
    part(token, 0)
}

fn claims(token: &str) -> Value {
    part(token, 1)
}

fn kid(token: &str) -> String {
    header(token)["kid"].as_str().expect("a kid").to_owned()
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[allow(clippy::disallowed_methods, reason = "Envoy compares a token's times with the real clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
