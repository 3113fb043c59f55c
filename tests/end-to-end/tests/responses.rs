//! What the gateway lets through of an upstream's answer: nothing that acts on the gateway's origin,
//! nothing that leads past the gateway, nothing that shows the session.
#![cfg(test)]

use std::sync::{LazyLock, Mutex, PoisonError};

use ib_end_to_end::{Deployment, PLATFORM_HOST, Response, StackOptions, unique};
use serde_json::{Value, json};
use url::Url;

static GATEWAY: LazyLock<Option<Deployment>> =
    LazyLock::new(|| Deployment::own(StackOptions::default()));
/// The simulator has one list of prepared answers.
static ANSWERS: Mutex<()> = Mutex::new(());

struct Client<'a> {
    gateway: &'a Deployment,
    token: String,
    sid: String,
}

impl Client<'static> {
    fn log_in() -> Option<Self> {
        let gateway = GATEWAY.as_ref()?;
        let token = gateway.log_in().access_token;
        let sid = gateway.sid_of(&token);
        Some(Self { gateway, token, sid })
    }

    /// Has the platform answer with this status and these headers, and gives what the client sees.
    #[track_caller]
    fn answered(&self, status: u16, headers: &[(&str, &str)], origin: Option<&str>) -> Response {
        let _one = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
        let path = format!("/api/3.0.0/{}", unique("prepared"));
        let headers: Vec<Value> =
            headers.iter().map(|(name, value)| json!([name, value])).collect();
        self.gateway.simulator().set(&json!({ "answers": [{
            "host": PLATFORM_HOST, "path_prefix": path, "count": 1, "status": status,
            "headers": headers, "body": "prepared",
        }] }));
        let rest = format!("{path}/folder/file?x=y");
        let mut request = self.gateway.proxied("GET", &rest).bearer(&self.token);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = self.gateway.send(&request);
        assert_eq!(answer.status, status, "{answer:?}");
        answer
    }

    /// Where a client ends that follows `location`, as path and query below the proxied host.
    #[track_caller]
    fn followed(&self, location: &str) -> Url {
        let answer = self.answered(302, &[("location", location)], None);
        let seen = answer.header("location").unwrap_or_else(|| panic!("no location: {answer:?}"));
        assert!(!seen.contains(&self.sid), "{location}: the session is in {seen}");
        let asked = format!(
            "{}/proxy/{PLATFORM_HOST}/api/3.0.0/prepared/folder/file?x=y",
            self.gateway.base_url()
        );
        Url::parse(&asked).unwrap().join(&seen).unwrap()
    }
}

#[test]
fn a_redirect_within_the_session_comes_back_through_the_gateway() {
    let Some(client) = Client::log_in() else { return };
    let base = format!("{}/proxy", client.gateway.base_url());
    for (location, expected) in [
        (
            "https://company.intelligencebank.com/next?a=b%3a(c)",
            "/company.intelligencebank.com/next?a=b%3a(c)",
        ),
        ("https://COMPANY.intelligencebank.com/next", "/company.intelligencebank.com/next"),
        ("https://company.intelligencebank.com:443/next", "/company.intelligencebank.com/next"),
        ("https://company.intelligencebank.com", "/company.intelligencebank.com/"),
        (
            "https://apiv3.intelligencebank.com/api/3.0.0/resource.limit(0,1)/?x",
            "/apiv3.intelligencebank.com/api/3.0.0/resource.limit(0,1)/?x",
        ),
        ("//apiv3.intelligencebank.com/next", "/apiv3.intelligencebank.com/next"),
        ("/next?a=b", "/company.intelligencebank.com/next?a=b"),
        ("/", "/company.intelligencebank.com/"),
        ("/proxy/elsewhere", "/company.intelligencebank.com/proxy/elsewhere"),
    ] {
        assert_eq!(client.followed(location).as_str(), format!("{base}{expected}"), "{location}");
    }
}

#[test]
fn a_redirect_relative_to_its_own_address_still_leads_to_the_right_place() {
    let Some(client) = Client::log_in() else { return };
    for (location, end) in [
        ("sibling?a=b", "/folder/sibling?a=b"),
        ("./sibling", "/folder/sibling"),
        ("?only=query", "/folder/file?only=query"),
    ] {
        let followed = client.followed(location);
        let text = followed.as_str();
        let base = format!("{}/proxy/{PLATFORM_HOST}/api/3.0.0/", client.gateway.base_url());
        assert!(text.starts_with(&base) && text.ends_with(end), "{location}: {text}");
    }
}

#[test]
fn defect_2_a_redirect_to_another_host_goes_through_without_the_session() {
    let Some(client) = Client::log_in() else { return };
    for location in [
        "https://cdn.example.net/file?signature=a%2Fb&expires=1",
        "https://other.intelligencebank.com/x",
        "https://company.intelligencebank.com.evil.example/x",
    ] {
        let answer = client.answered(302, &[("location", location)], None);
        assert_eq!(answer.header("location").as_deref(), Some(location));
    }
    for location in [
        format!("https://cdn.example.net/file?sid={}&a=b", client.sid),
        format!("https://cdn.example.net/{}/file", client.sid),
    ] {
        let answer = client.answered(302, &[("location", &location)], None);
        assert!(!format!("{answer:?}").contains(&client.sid), "{answer:?}");
    }
    let own = format!("https://{PLATFORM_HOST}/file?sid={}&a=b", client.sid);
    let answer = client.answered(302, &[("location", &own)], None);
    assert!(!format!("{answer:?}").contains(&client.sid), "{answer:?}");
}

#[test]
fn what_an_upstream_says_to_browsers_does_not_act_on_the_gateways_origin() {
    let Some(client) = Client::log_in() else { return };
    let answer = client.answered(
        200,
        &[
            ("set-cookie", "a=b; Path=/"),
            ("set-cookie", "c=d"),
            ("alt-svc", "h3=\":443\""),
            ("clear-site-data", "\"*\""),
            ("set-cookie2", "a=b"),
            ("strict-transport-security", "max-age=1; includeSubDomains"),
            ("service-worker-allowed", "/"),
            ("refresh", "0;url=/authorize"),
            ("www-authenticate", "Basic realm=x"),
            ("proxy-authenticate", "Basic realm=x"),
            ("nel", "{}"),
            ("report-to", "{}"),
            ("reporting-endpoints", "a=\"https://evil.example\""),
            ("timing-allow-origin", "*"),
            ("x-accel-redirect", "/internal"),
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-headers", "x"),
            ("access-control-expose-headers", "x"),
            ("access-control-max-age", "9"),
            ("content-security-policy", "default-src *"),
            ("x-custom", "stays"),
            ("content-type", "text/html"),
            ("x-request-id", "of-the-upstream"),
        ],
        Some("https://evil.example"),
    );
    for name in [
        "set-cookie",
        "alt-svc",
        "clear-site-data",
        "set-cookie2",
        "strict-transport-security",
        "service-worker-allowed",
        "refresh",
        "www-authenticate",
        "proxy-authenticate",
        "nel",
        "report-to",
        "reporting-endpoints",
        "timing-allow-origin",
        "x-accel-redirect",
    ] {
        assert!(answer.headers(name).is_empty(), "{name}: {answer:?}");
    }
    let cors: Vec<_> =
        answer.headers.iter().filter(|(name, _)| name.starts_with("access-control-")).collect();
    assert!(cors.is_empty(), "the upstream opened the answer to a page: {cors:?}");
    assert!(
        answer.headers("content-security-policy").contains(&"sandbox".to_owned()),
        "{answer:?}"
    );
    assert_eq!(answer.header("x-content-type-options").as_deref(), Some("nosniff"));
    assert_eq!(answer.header("x-custom").as_deref(), Some("stays"));
    assert_eq!(answer.header("content-type").as_deref(), Some("text/html"));
    assert_eq!(answer.text(), "prepared");
}

#[test]
fn an_allowed_page_gets_the_gateways_cors_headers_and_not_the_upstreams() {
    let Some(client) = Client::log_in() else { return };
    let origin = "https://app.example.com";
    let answer = client.answered(
        200,
        &[
            ("access-control-allow-origin", "https://evil.example"),
            ("access-control-allow-credentials", "true"),
        ],
        Some(origin),
    );
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(origin));
    assert!(answer.header("access-control-allow-credentials").is_none(), "{answer:?}");
}

#[test]
fn a_shared_cache_never_gives_one_users_answer_to_another() {
    let Some(client) = Client::log_in() else { return };
    for (cache_control, vary) in [
        (Some("public, max-age=60"), None),
        (Some("PUBLIC"), Some("accept-encoding")),
        (Some("max-age=60, public, immutable"), Some("Origin, Accept")),
        (Some("private, max-age=60"), Some("authorization")),
        (Some("no-store"), None),
        (None, None),
    ] {
        let headers: Vec<_> = [("cache-control", cache_control), ("vary", vary)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let answer = client.answered(200, &headers, None);
        let seen = answer.list("cache-control");
        assert!(!seen.contains(&"public".to_owned()), "{answer:?}");
        let varies = answer.list("vary");
        assert!(varies.contains(&"authorization".to_owned()), "{answer:?}");
        for name in vary.iter().flat_map(|vary| vary.split(", ")) {
            assert!(varies.contains(&name.to_ascii_lowercase()), "{name} is lost: {answer:?}");
        }
        match cache_control {
            Some(given) if given.to_ascii_lowercase().contains("public") => {
                assert!(seen.contains(&"private".to_owned()), "{answer:?}");
                let kept = given.contains("max-age=60") == seen.contains(&"max-age=60".to_owned());
                assert!(kept, "the rest is lost: {answer:?}");
            }
            Some(given) => assert_eq!(answer.header("cache-control").as_deref(), Some(given)),
            None => {}
        }
    }
}

#[test]
fn a_header_that_holds_the_session_is_not_passed_on() {
    let Some(client) = Client::log_in() else { return };
    let link = format!("<https://apiv3.intelligencebank.com/x?sid={}>; rel=next", client.sid);
    let answer = client.answered(
        200,
        &[("sid", &client.sid), ("x-session", &client.sid), ("link", &link), ("x-other", "stays")],
        None,
    );
    let shown: Vec<_> = answer
        .headers
        .iter()
        .filter(|(_, value)| String::from_utf8_lossy(value).contains(&client.sid))
        .collect();
    assert!(shown.is_empty(), "{shown:?}");
    assert_eq!(answer.header("x-other").as_deref(), Some("stays"));
}

#[test]
fn the_inside_of_the_gateway_does_not_show_in_an_answer() {
    let Some(client) = Client::log_in() else { return };
    // With it the service takes itself out of its cluster, and an upstream would the gateway out of another's.
    let leave = ("x-envoy-immediate-health-check-fail", "true");
    let answer = client.answered(200, &[leave], None);
    let inside: Vec<_> =
        answer.headers.iter().filter(|(name, _)| name.starts_with("x-envoy-")).collect();
    assert!(inside.is_empty(), "{inside:?}");
}
