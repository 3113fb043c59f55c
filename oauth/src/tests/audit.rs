//! What an auditor finds of real requests.

use std::{path::PathBuf, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::Value;

use crate::upstreams::{LoginProgress, UpstreamError};

use super::{
    CLIENT_SECRET, GATEWAY_CREDENTIAL, Kit, PLATFORM, VERIFIER, authorize_url, basic, changed,
    exchange_form, post, refresh_form, scripted, text,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

struct Audited {
    kit: Kit,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Audited {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let path_text = path.display();
        let kit = Kit::with(&format!("audit: {{ to: file, file: \"{path_text}\", {more} }}"));
        Self { kit, path, _folder: folder }
    }

    /// Everything that was recorded since the last time.
    fn lines(&self) -> Vec<Value> {
        self.kit.app.audit.close(Duration::from_secs(30));
        let recorded = std::fs::read_to_string(&self.path).unwrap();
        std::fs::write(&self.path, "").unwrap();
        recorded.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn events(&self) -> Vec<String> {
        self.lines().iter().map(|line| text(line, "event")).collect()
    }
}

#[tokio::test]
async fn a_login_and_its_tokens_are_recorded_with_client_platform_and_grant() {
    let audited = Audited::new("");
    let tokens = audited.kit.tokens().await;
    let lines = audited.lines();
    let events: Vec<_> = lines.iter().map(|line| text(line, "event")).collect();
    let expected =
        ["login_begun", "login_finished", "code_issued", "code_exchanged", "token_issued"];
    assert_eq!(events, expected);
    for line in &lines {
        assert_eq!(line["outcome"], "success");
        assert_eq!(line["client_id"], "mcp-public-client");
        assert_eq!(line["platform"], PLATFORM);
    }
    assert_eq!(lines[0].get("subject"), None, "nobody has logged in yet");
    let subject = text(&lines[1], "subject");
    assert!(lines[1..].iter().all(|line| line["subject"] == *subject));
    let grant = text(&lines[3], "grant");
    let session = audited.kit.introspect(&text(&tokens, "access_token")).await;
    assert_eq!(session["upstreams"][0]["session"], *grant, "the id that the gateway knows");

    audited.kit.refresh(&text(&tokens, "refresh_token")).await;
    let lines = audited.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (text(&lines[0], "event"), text(&lines[0], "grant")),
        ("token_refreshed".into(), grant)
    );
}

#[tokio::test]
async fn what_comes_back_a_second_time_is_recorded_with_what_it_ended() {
    let audited = Audited::new("");
    let code = audited.kit.code().await;
    audited.kit.exchange(&code).await;
    audited.lines();
    audited.kit.exchange(&code).await;
    assert_eq!(audited.events(), ["code_replayed", "session_ended", "token_refused"]);

    let tokens = audited.kit.tokens().await;
    let first = text(&tokens, "refresh_token");
    audited.kit.refresh(&first).await;
    audited.lines();
    audited.kit.clock.advance(Duration::from_secs(60));
    audited.kit.refresh(&first).await;
    let lines = audited.lines();
    let events: Vec<_> = lines.iter().map(|line| text(line, "event")).collect();
    assert_eq!(events, ["refresh_token_reused", "session_ended", "token_refused"]);
    assert_eq!(lines[0]["outcome"], "denied");
    assert_eq!(lines[0]["grant"], lines[1]["grant"]);
}

#[tokio::test]
async fn revocations_are_recorded() {
    let audited = Audited::new("");
    let tokens = audited.kit.tokens().await;
    audited.lines();
    for (token, events) in [
        ("access_token", vec!["token_revoked"]),
        ("refresh_token", vec!["grant_revoked", "session_ended"]),
    ] {
        let form = [("token", tokens[token].as_str().unwrap()), ("client_id", "mcp-public-client")];
        assert_eq!(audited.kit.post("/revoke", &form).await.status, StatusCode::OK);
        assert_eq!(audited.events(), events);
    }
}

#[tokio::test]
async fn whoever_guesses_an_operators_credential_is_recorded_and_so_is_what_operators_do() {
    let folder = tempfile::tempdir().unwrap();
    let operator = folder.path().join("operator");
    std::fs::write(&operator, "operator-credential-for-tests-0123456789").unwrap();
    let path = folder.path().join("audit.jsonl");
    let kit = Kit::with(&format!(
        "audit: {{ to: file, file: {path:?} }}\nadmin: {{ credentials: [ {{ file: {operator:?} }} ] }}"
    ));
    let audited = Audited { kit, path, _folder: folder };
    audited.kit.tokens().await;
    audited.lines();
    let revoke = || post("/admin/grants/revoke", &[("platform", PLATFORM)]);
    audited.kit.send_internal(revoke()).await.expect(401, "invalid_client");
    assert_eq!(audited.events(), ["operator_refused"]);
    let mut request = revoke();
    let bearer = "Bearer operator-credential-for-tests-0123456789".parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    assert_eq!(audited.kit.send_internal(request).await.status, StatusCode::OK);
    let lines = audited.lines();
    let events: Vec<_> = lines.iter().map(|line| text(line, "event")).collect();
    assert_eq!(events, ["session_ended", "admin_action"]);
    assert!(lines.iter().all(|line| line["platform"] == PLATFORM), "{lines:?}");
}

#[tokio::test]
async fn a_logout_is_recorded_although_it_goes_on_by_itself() {
    let audited = Audited::new("");
    let tokens = audited.kit.tokens().await;
    audited.lines();
    let mut request = post("/logout", &[]);
    request.headers_mut().remove(header::CONTENT_TYPE);
    let bearer = format!("Bearer {}", text(&tokens, "access_token")).parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    assert_eq!(audited.kit.send(request).await.status, StatusCode::OK);
    assert_eq!(audited.events(), ["session_ended", "grant_revoked"]);
}

#[tokio::test]
async fn whoever_does_not_prove_who_they_are_is_recorded() {
    let audited = Audited::new("");
    let mut request = post("/introspect", &[("token", "x")]);
    let wrong = basic("backend", "wrong").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, wrong);
    audited.kit.send(request).await.expect(401, "invalid_client");
    let lines = audited.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (text(&lines[0], "event"), text(&lines[0], "client_id")),
        ("client_refused".into(), "backend".into())
    );

    let mut request = post("/introspect", &[("token", "x")]);
    let unknown = basic("nobody-knows-this", "wrong").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, unknown);
    audited.kit.send(request).await.expect(401, "invalid_client");
    let lines = audited.lines();
    assert_eq!(lines[0].get("client_id"), None, "a text that somebody sent is not repeated");

    audited.kit.send_internal(post("/introspect", &[("token", "x")])).await;
    assert_eq!(audited.events(), ["gateway_refused"]);

    let form = changed(refresh_form("ibg_rt_invented"), "client_id", "other-public-client");
    audited.kit.post("/token", &form).await.expect(400, "invalid_grant");
    let lines = audited.lines();
    assert_eq!(
        (text(&lines[0], "event"), text(&lines[0], "reason")),
        ("token_refused".into(), "invalid_grant".into())
    );
}

#[tokio::test]
async fn a_line_leads_to_the_requests_line_in_the_gateways_access_log() {
    let audited = Audited::new("");
    let traced = |traceparent: &str| {
        Request::get(authorize_url(&[("platform_url", PLATFORM)]))
            .header(header::ACCEPT, "application/json")
            .header("x-request-id", "request-7")
            .header("traceparent", traceparent)
            .body(Body::empty())
            .unwrap()
    };
    audited.kit.send(traced(&format!("00-{TRACE}-00f067aa0ba902b7-01"))).await;
    let line = &audited.lines()[0];
    assert_eq!((&line["request_id"], &line["trace_id"]), (&"request-7".into(), &TRACE.into()));
    for malformed in
        ["", "00", "00-ibg_at_secret-00f067aa0ba902b7-01", &format!("00-{}-x", "0".repeat(32))]
    {
        audited.kit.send(traced(malformed)).await;
        assert_eq!(audited.lines()[0].get("trace_id"), None, "{malformed}");
    }
}

#[tokio::test]
async fn no_secret_of_a_whole_life_is_in_the_audit_log() {
    let audited = Audited::new("");
    let code = audited.kit.code().await;
    let tokens = audited.kit.exchange(&code).await.json();
    let next = audited.kit.refresh(&text(&tokens, "refresh_token")).await.json();
    audited.kit.introspect(&text(&next, "access_token")).await;
    audited.kit.post("/token", &exchange_form(&code)).await;
    let recorded = audited.lines().iter().map(Value::to_string).collect::<String>();
    assert!(recorded.contains("code_replayed"), "{recorded}");
    let secrets = [
        code,
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
        text(&next, "access_token"),
        text(&next, "refresh_token"),
        VERIFIER.to_owned(),
        CLIENT_SECRET.to_owned(),
        GATEWAY_CREDENTIAL.to_owned(),
    ];
    for secret in secrets {
        assert!(!recorded.contains(&secret), "{recorded}");
    }
    // Neither is the person.
    for personal in [scripted::SID, "user-ada", "Ada", "Lovelace"] {
        assert!(!recorded.contains(personal), "{recorded}");
    }
}

#[tokio::test]
async fn nothing_is_granted_while_a_required_log_cannot_be_written_and_revoking_goes_on() {
    let audited = Audited::new("required: true");
    let tokens = audited.kit.tokens().await;
    // A folder in the place of the file: whatever is recorded next cannot be written.
    audited.lines();
    std::fs::remove_file(&audited.path).unwrap();
    std::fs::create_dir(&audited.path).unwrap();
    audited.kit.refresh(&text(&tokens, "refresh_token")).await;
    audited.kit.app.audit.close(Duration::from_secs(30));
    let refused = audited.kit.refresh(&text(&tokens, "refresh_token")).await;
    refused.expect(503, "temporarily_unavailable");
    let login = audited.kit.get_json(&authorize_url(&[("platform_url", PLATFORM)])).await;
    login.expect(503, "temporarily_unavailable");
    let ready = Request::get("/readyz").body(Body::empty()).unwrap();
    audited.kit.send_internal(ready).await.expect(503, "temporarily_unavailable");
    let form =
        [("token", tokens["refresh_token"].as_str().unwrap()), ("client_id", "mcp-public-client")];
    assert_eq!(audited.kit.post("/revoke", &form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn renewals_are_recorded_with_what_came_of_them_and_for_the_request_that_asked() {
    let audited = Audited::new("");
    let (_, token, session) = audited.kit.session().await;
    audited.lines();
    let renew = async || {
        let mut request = crate::tests::gateway::renewal(&token, &session, 1, "rejected");
        request.headers_mut().insert("x-request-id", "request-8".parse().unwrap());
        audited.kit.send_internal(request).await
    };
    audited.kit.upstream.answers(Err(UpstreamError::Unreachable("it took too long")));
    renew().await.expect(503, "temporarily_unavailable");
    let lines = audited.lines();
    assert_eq!(lines.len(), 1);
    let expected = ("session_renewal_refused".to_owned(), "unreachable".to_owned());
    assert_eq!((text(&lines[0], "event"), text(&lines[0], "reason")), expected);
    assert_eq!(
        (text(&lines[0], "grant"), text(&lines[0], "request_id")),
        (session.clone(), "request-8".into())
    );

    audited.kit.clock.advance(Duration::from_secs(60));
    audited.kit.upstream.answers(Ok(LoginProgress::Pending));
    renew().await;
    assert_eq!(audited.events(), ["session_ended", "session_renewal_refused"]);
}

#[tokio::test]
async fn a_session_that_was_renewed_is_recorded_once_however_many_asked() {
    let audited = Audited::new("");
    let (_, token, session) = audited.kit.session().await;
    audited.lines();
    let mut newer = scripted::session();
    newer.login_time = Some(super::NOW + 1);
    audited.kit.clock.advance(Duration::from_secs(60));
    audited.kit.upstream.log_in_with(newer);
    for _ in 0..3 {
        audited.kit.renew(&token, &session, 1, "rejected").await;
    }
    assert_eq!(audited.events(), ["session_renewed"]);
}

#[tokio::test]
async fn logins_that_fail_are_recorded_with_why() {
    let audited = Audited::new("");
    audited.kit.upstream.begins_with(Err(UpstreamError::Unreachable("it took too long")));
    audited.kit.get_json(&authorize_url(&[("platform_url", PLATFORM)])).await;
    let lines = audited.lines();
    assert_eq!(
        (text(&lines[0], "event"), text(&lines[0], "reason")),
        ("login_failed".into(), "platform".into())
    );
    audited.kit.upstream.begins_with(Ok(()));
    let token = audited.kit.begin().await;
    audited.kit.upstream.answers(Ok(LoginProgress::Expired));
    audited.kit.poll(&token).await;
    let lines = audited.lines();
    assert_eq!(
        (text(&lines[1], "event"), text(&lines[1], "reason")),
        ("login_failed".into(), "expired".into())
    );
}
