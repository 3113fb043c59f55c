//! What operators rely on: readiness, and a service that does not grow.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::{Answer, Kit, PLATFORM, authorize_url, machine, settings_text};
use crate::{
    app::App,
    clock::SystemClock,
    endpoints,
    metrics::Metrics,
    records::Records,
    server,
    settings::Settings,
    store::{
        Applied, Change, Condition, Key, Operation, Store as _, Table, measured::Measured,
        redb::RedbStore,
    },
    upstreams::UpstreamError,
};

#[tokio::test]
async fn a_service_whose_store_has_ended_is_not_ready_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Arc::new(Settings::parse(&settings_text(&folder, ""), &[]).unwrap());
    let store = Arc::new(RedbStore::open(&settings.store.redb().path, 4 * 1024 * 1024).unwrap());
    let (sealer, metrics) = (Arc::clone(&settings.sealer), Arc::new(Metrics::new()));
    let records = Arc::new(Records::new(store.clone(), sealer, metrics));
    let upstream = Arc::new(super::scripted::Scripted::default());
    let app = Arc::new(App::new(settings, records, upstream, Arc::new(SystemClock::new())));
    let router = endpoints::internal(&app);
    let ready = async || {
        let request = Request::get("/readyz").body(Body::empty()).unwrap();
        Answer::of(router.clone().oneshot(request).await.unwrap()).await
    };
    assert_eq!(ready().await.status, StatusCode::OK);
    store.kill_writer().await;
    ready().await.expect(503, "temporarily_unavailable");
}

#[tokio::test]
async fn an_instance_that_is_about_to_stop_says_so_and_serves_what_comes_all_the_same() {
    let kit = Kit::new();
    let ask = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        kit.send_internal(request).await
    };
    assert_eq!(kit.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(ask("/readyz").await.status, StatusCode::OK);
    kit.app.draining.begin();
    kit.get("/healthz").await.expect(503, "temporarily_unavailable");
    ask("/readyz").await.expect(503, "temporarily_unavailable");
    // Nobody starts a process anew that is about to end.
    assert_eq!(ask("/healthz").await.status, StatusCode::OK);
    assert_eq!(kit.get("/.well-known/oauth-authorization-server").await.status, StatusCode::OK);
}

#[tokio::test]
async fn during_a_rotation_two_gateway_secrets_work_and_afterwards_the_old_one_is_refused() {
    let new = "the-next-gateway-credential-0123456789abcdef";
    let kit = Kit::new();
    let file = kit.folder.path().join("next-credential");
    std::fs::write(&file, new).unwrap();
    let ask = async |kit: &Kit, credential: &str| {
        let mut request = super::post("/introspect", &[("token", "t")]);
        let value = format!("Bearer {credential}").parse().unwrap();
        request.headers_mut().insert(axum::http::header::AUTHORIZATION, value);
        kit.send_internal(request).await
    };
    let old = super::GATEWAY_CREDENTIAL;
    assert_eq!(ask(&kit, old).await.status, StatusCode::OK);
    ask(&kit, new).await.expect(401, "invalid_client");
    let (before, both) = (kit.settings.clone(), format!("}}, {{ file: {file:?} }} ] }}\nclients:"));
    let both = before.replacen("} ] }\nclients:", &both, 1);
    assert_ne!(both, before);
    let kit = kit.restarted_with(both);
    for credential in [old, new] {
        assert_eq!(ask(&kit, credential).await.status, StatusCode::OK);
    }
    ask(&kit, "neither-the-old-nor-the-new-credential-x").await.expect(401, "invalid_client");
    let after = before.replace("/gateway-credential\"", "/next-credential\"");
    assert_ne!(after, before);
    let kit = kit.restarted_with(after);
    ask(&kit, old).await.expect(401, "invalid_client");
    assert_eq!(ask(&kit, new).await.status, StatusCode::OK);
}

#[tokio::test]
async fn durations_are_put_into_their_buckets_whether_or_not_anybody_scrapes() {
    let kit = Kit::new();
    let (_stop, stopped) = watch::channel(());
    let (never, often) = (Duration::from_secs(3_600), Duration::from_millis(1));
    let keeper = tokio::spawn(server::keep_house(Arc::clone(&kit.app), never, often, stopped));
    let several = async {
        while kit.app.metrics.upkeeps() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), several).await.unwrap();
    keeper.abort();
}

#[tokio::test]
async fn every_metric_that_an_operator_scrapes_is_explained() {
    let kit = machine::kit();
    kit.tokens().await;
    // Of a credential there are times when there is a token.
    kit.introspect(&kit.machine_token(machine::AZURA).await).await;
    kit.get("/nowhere").await.expect(404, "not_found");
    let rendered = kit.app.metrics.render();
    let shown: Vec<_> = rendered.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let documentation = include_str!("../../../docs/observability.md");
    for line in &shown {
        let name = line.split(' ').next().unwrap();
        assert!(documentation.contains(&format!("| `{name}` |")), "{name} is not documented");
    }
    let documented = ["| `oauth_", "| `process_"].map(|name| documentation.matches(name).count());
    assert_eq!(shown.len(), documented.iter().sum::<usize>(), "{shown:?}");
}

/// Prometheus sees the first event of a kind only where its series was there before, at 0.
#[test]
fn the_first_failure_raises_a_series_that_an_alert_already_sees() {
    let rendered = Metrics::new().render();
    for series in [
        r#"oauth_logins_total{event="failed"}"#,
        r#"oauth_renewals_total{cause="near_expiry",result="unreachable"}"#,
        r#"oauth_replays_total{what="refresh_token"}"#,
        r#"oauth_errors_total{endpoint="/introspect",cause="gateway_credential",fault="client"}"#,
        r#"oauth_errors_total{endpoint="/revocations",cause="gateway_credential",fault="client"}"#,
        r#"oauth_store_operations_total{operation="apply",outcome="failed"}"#,
        r#"oauth_store_operations_total{operation="get",outcome="failed"}"#,
        r#"oauth_upstream_requests_total{request="begin",outcome="unreachable"}"#,
        r#"oauth_upstream_requests_total{request="read",outcome="limited"}"#,
        r#"oauth_limited_total{limit="address",endpoint="token"}"#,
        "oauth_platform_circuits_opened_total",
        r#"oauth_audit_events_total{result="lost"}"#,
        r#"oauth_key_reloads_total{result="failure"}"#,
        "oauth_key_polls_failed_total",
        "oauth_records_of_unknown_keys_total",
        r#"oauth_internal_tls_reloads_total{result="unusable"}"#,
    ] {
        assert!(rendered.contains(&format!("{series} 0\n")), "{series}: {rendered}");
    }
}

/// A quantile is as exact as the bounds of the buckets around it.
#[tokio::test]
async fn a_request_over_the_five_seconds_of_the_alerts_is_told_from_one_below() {
    let kit = Kit::new();
    kit.app.metrics.request("/slow", 200, Duration::from_millis(4_900));
    kit.app.metrics.request("/slow", 200, Duration::from_millis(5_100));
    for (bound, count) in [("2.5", "0"), ("5", "1"), ("10", "2")] {
        let series =
            format!(r#"oauth_request_duration_seconds_bucket{{endpoint="/slow",le="{bound}"}}"#);
        assert_eq!(kit.metric(&series), count, "{series}");
    }
}

#[tokio::test]
async fn an_operator_sees_what_the_platform_and_the_store_were_asked_and_how_it_ended() {
    let kit = Kit::new();
    kit.tokens().await;
    kit.exchange(&kit.code().await).await;
    for (series, value) in [
        (r#"oauth_upstream_requests_total{request="begin",outcome="begun"}"#, "2"),
        (r#"oauth_upstream_requests_total{request="read",outcome="complete"}"#, "2"),
        (r#"oauth_upstream_request_duration_seconds_count{request="read"}"#, "2"),
        (r#"oauth_sessions_total{event="begun"}"#, "2"),
        (r#"oauth_store_operation_duration_seconds_count{operation="apply"}"#, "6"),
        (r#"oauth_store_operations_total{operation="apply",outcome="done"}"#, "6"),
    ] {
        assert_eq!(kit.metric(series), value, "{series}");
    }
    kit.upstream.begins_with(Err(UpstreamError::Unreachable("it took too long")));
    kit.get_json(&authorize_url(&[("platform_url", PLATFORM)])).await;
    let unreachable = r#"oauth_upstream_requests_total{request="begin",outcome="unreachable"}"#;
    assert_eq!(kit.metric(unreachable), "1");
    let error = r#"oauth_errors_total{endpoint="/authorize",cause="platform",fault="upstream"}"#;
    assert_eq!(kit.metric(error), "1");
}

#[tokio::test]
async fn a_store_that_fails_is_seen_in_the_metrics() {
    let (metrics, clock) = (Arc::new(Metrics::new()), Arc::new(SystemClock::new()));
    let folder = tempfile::tempdir().unwrap();
    let engine = RedbStore::open(&folder.path().join("store.redb"), 4 * 1024 * 1024).unwrap();
    let engine = Arc::new(engine);
    let store = Measured::new(engine.clone(), clock, Arc::clone(&metrics));
    let key = Key::new(Table::Grant, "one");
    let (condition, change) = (Condition::Present, Change::Keep);
    let operation = Operation { key, condition, change };
    assert_eq!(store.apply(vec![operation.clone()], 1).await, Ok(Applied::Conflict));
    engine.kill_writer().await;
    assert!(store.apply(vec![operation], 1).await.is_err());
    let rendered = metrics.render();
    for outcome in ["conflict", "failed"] {
        let series = "oauth_store_operations_total{operation=\"apply\",outcome=\"";
        assert!(rendered.contains(&format!("{series}{outcome}\"}} 1")), "{rendered}");
    }
}
