//! What operators rely on: readiness, and a service that does not grow.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::{Answer, Kit, settings_text};
use crate::{
    app::App, clock::SystemClock, endpoints, metrics::Metrics, records::Records, server,
    settings::Settings, store::redb::RedbStore,
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
    let kit = Kit::new();
    kit.tokens().await;
    let rendered = kit.app.metrics.render();
    let shown: Vec<_> = rendered.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let documentation = include_str!("../../../docs/observability.md");
    for line in &shown {
        let name = line.split(' ').next().unwrap();
        assert!(documentation.contains(&format!("| `{name}` |")), "{name} is not documented");
    }
    assert_eq!(shown.len(), documentation.matches("| `oauth_").count(), "{shown:?}");
}
