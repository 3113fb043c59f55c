//! No secret in the log at its most verbose, in the metrics, or in the file.

use std::{cell::RefCell, io::Write, sync::Once, time::Duration};

use axum::{
    body::Body,
    http::{Request, header},
};

use ib_contract::Secret;

use super::{
    CLIENT_SECRET, GATEWAY_CREDENTIAL, Kit, PLATFORM, VERIFIER, authorize_url, basic, post,
    scripted::SID, text,
};
use crate::{
    settings::TelemetrySettings,
    telemetry,
    upstreams::{UpstreamError, UpstreamSession},
};

const NEWER_SID: &str = "0e3e50000e3e50000e3e50000e3e5000";
const EMAIL: &str = "ada.lovelace@mail.example";
/// The beginning of the tests' tag key, as the gateway gets it.
const TAG_KEY: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQ";

thread_local! {
    /// What this thread has logged since [`capture`].
    static CAPTURED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes a line into the buffer of the thread that logs it. One subscriber serves the whole process:
/// with one for each test, a call site first met by another test would stay silent here.
struct Captured;

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        CAPTURED.with_borrow_mut(|captured| {
            if let Some(captured) = captured {
                captured.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// From now on what this thread logs is kept, at the most verbose level that an operator can set.
fn capture() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let filter = telemetry::parse_filter("trace,hyper=trace,h2=trace,reqwest=trace").unwrap();
        let settings = TelemetrySettings { otlp_endpoint: None, sample: 1.0 };
        let (subscriber, _telemetry) = telemetry::build(filter, &settings, || Captured).unwrap();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    CAPTURED.set(Some(Vec::new()));
}

fn captured() -> String {
    String::from_utf8(CAPTURED.take().unwrap()).unwrap()
}

/// Everything that must stay secret in a whole life of a grant.
pub(super) async fn whole_life(kit: &Kit) -> Vec<String> {
    let mut secrets: Vec<String> =
        [SID, VERIFIER, CLIENT_SECRET, GATEWAY_CREDENTIAL, "l0g1nt0ken", "Lovelace", "user-ada"]
            .map(str::to_owned)
            .into();
    secrets.extend([NEWER_SID, TAG_KEY, EMAIL].map(str::to_owned));
    let begun = kit.get_json(&authorize_url(&[("platform_url", PLATFORM)])).await;
    let poll_token = text(&begun.json(), "token");
    kit.upstream.answers(Err(UpstreamError::Unreachable("test")));
    kit.poll(&poll_token).await;
    let mut session = super::scripted::session();
    session.person.email = Some(EMAIL.to_owned());
    kit.upstream.log_in_with(session);
    kit.clock.advance(Duration::from_secs(1));
    let redirect = text(&kit.poll(&poll_token).await.json(), "redirect_url");
    let code = super::parameter(&redirect, "code");
    let first = kit.exchange(&code).await.json();
    let second = kit.refresh(&text(&first, "refresh_token")).await.json();
    kit.refresh(&text(&first, "refresh_token")).await;
    let token = text(&second, "access_token");
    let session = text(&kit.introspect(&token).await["upstreams"][0], "session");
    kit.upstream.answers(Err(UpstreamError::Unreachable("test")));
    kit.renew(&token, &session, 1, "rejected").await;
    kit.clock.advance(Duration::from_secs(1));
    let newer = UpstreamSession { sid: Secret::new(NEWER_SID), ..super::scripted::session() };
    kit.upstream.log_in_with(newer);
    let told = kit.renew(&token, &session, 1, "rejected").await;
    assert!(told.text.contains(NEWER_SID), "{}", told.text);
    assert!(kit.revocations("").await.text.contains(TAG_KEY));
    for (path, authorization) in [
        ("/userinfo", format!("Bearer {}", text(&second, "access_token"))),
        ("/introspect", basic("backend", CLIENT_SECRET)),
        ("/introspect", basic("backend", "wrong-secret-0123456789")),
        ("/nowhere/wrong-secret-0123456789?token=wrong-secret-0123456789", String::new()),
    ] {
        let mut request = match path {
            "/introspect" => post(path, &[("token", &text(&second, "access_token"))]),
            _ => Request::get(path).body(Body::empty()).unwrap(),
        };
        request.headers_mut().insert(header::AUTHORIZATION, authorization.parse().unwrap());
        request.headers_mut().insert("x-request-id", "request-1".parse().unwrap());
        kit.send(request).await;
    }
    let mut odd = post("/token", &[("grant_type", "wrong-secret-0123456789")]);
    odd.headers_mut().insert("x-request-id", "wrong secret-0123456789".parse().unwrap());
    kit.send(odd).await;
    let page = kit
        .post(
            "/authorize",
            &[
                (
                    "authorization_request",
                    &super::authorize_query(&[("state", "wrong-secret-0123456789")]),
                ),
                ("platform_url", "company"),
            ],
        )
        .await;
    let cookie = page.header("set-cookie").split(['=', ';']).nth(1).unwrap().to_owned();
    for name in ["access_token", "refresh_token"] {
        let form = [("token", text(&second, name)), ("client_id", "mcp-public-client".to_owned())];
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        kit.post("/revoke", &form).await;
    }
    kit.exchange(&code).await;
    let assertion = [
        ("client_assertion_type", crate::clients::ASSERTION_TYPE),
        ("client_assertion", "e30.wrong-secret-0123456789.e30"),
    ];
    kit.post("/introspect", &assertion).await;
    for path in ["/logout", "/register"] {
        for secret in [&token, "wrong-secret-0123456789"] {
            let request = Request::post(path)
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::AUTHORIZATION, format!("Bearer {secret}"));
            kit.send(request.body(Body::from("{}")).unwrap()).await;
        }
    }
    for tokens in [&first, &second] {
        secrets.extend([text(tokens, "access_token"), text(tokens, "refresh_token")]);
    }
    secrets.extend([poll_token, code, cookie, "wrong-secret-0123456789".to_owned()]);
    secrets
}

#[tokio::test]
async fn defect_10_no_secret_is_in_the_log_at_its_most_verbose_nor_in_the_metrics() {
    capture();
    let kit = Kit::new();
    let secrets = whole_life(&kit).await;
    let log = captured();
    let metrics = kit.send_internal(Request::get("/metrics").body(Body::empty()).unwrap()).await;
    for told in ["\"endpoint\":\"/token\"", "\"request_id\":\"request-1\"", "a code was used again"]
    {
        assert!(log.contains(told), "the log was captured: {told}\n{log}");
    }
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
    for secret in secrets {
        // A prefix alone would name the kind; what follows is the secret.
        let tail = secret.get("ibg_xx_".len()..).filter(|_| secret.starts_with("ibg_"));
        let tail = tail.unwrap_or(&secret);
        for (name, text) in [("log", &log), ("metrics", &metrics.text)] {
            assert!(!text.contains(tail), "{secret} is in the {name}");
        }
    }
}

#[tokio::test]
async fn a_verbose_setting_does_not_open_the_libraries_that_print_headers() {
    capture();
    tracing::trace!(target: "h2::codec", "authorization: Bearer x");
    tracing::debug!(target: "reqwest::connect", "https://host/?token=x");
    tracing::info!(target: "hyper", "heard");
    tracing::trace!(target: "ib_oauth::anything", "heard too");
    let log = captured();
    assert_eq!(log.lines().count(), 2, "{log}");
}
