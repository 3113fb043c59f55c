use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse as _, Redirect},
    routing::{get, post},
};
use ib_contract::Secret;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::IntelligenceBank;
use crate::{
    hosts::HostList,
    settings::{IntelligenceBankSettings, UpstreamBounds},
    upstreams::{Ended, LoginProgress, LoginUpstream as _, UpstreamError},
};

pub(in crate::upstreams) const HOST: &str = "company.intelligencebank.com";

/// A platform over TLS on loopback, and the CA that vouches for it.
pub(in crate::upstreams) async fn platform(router: Router) -> (SocketAddr, String) {
    rustls::crypto::ring::default_provider().install_default().ok();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![HOST.to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(ca, ca_key))
        .unwrap();
    let config = axum_server::tls_rustls::RustlsConfig::from_pem(
        certificate.pem().into_bytes(),
        key.serialize_pem().into_bytes(),
    )
    .await
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let server = axum_server::from_tcp_rustls(listener, config).unwrap();
    tokio::spawn(server.serve(router.into_make_service()));
    (address, ca_pem)
}

pub(in crate::upstreams) fn settings(
    address: SocketAddr,
    ca_pem: Option<String>,
) -> IntelligenceBankSettings {
    IntelligenceBankSettings {
        platform_hosts: HostList::default(),
        api_hosts: HostList::default(),
        extra_ca_pem: ca_pem.map(String::into_bytes),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        maximum_response_bytes: 1024,
        login_deadline_seconds: 300,
        poll_interval: Duration::ZERO,
        logout_path: None,
        propagate_trace: false,
        bounds: UpstreamBounds {
            concurrent: 10,
            concurrent_per_platform: 10,
            failures: 10,
            open: Duration::from_secs(1),
        },
        allow_private_addresses: true,
        resolve: BTreeMap::from([(HOST.to_owned(), address)]),
    }
}

fn begins() -> Router {
    Router::new().route("/v1/auth/app/token", post(|| async { r#"{"SID":"x","content":"a+b/c"}"# }))
}

#[tokio::test]
async fn a_login_begins_over_verified_tls() {
    let (address, ca) = platform(begins()).await;
    let begun =
        IntelligenceBank::new(&settings(address, Some(ca))).unwrap().begin(HOST).await.unwrap();
    assert_eq!(begun.login.expose(), "a+b/c");
    assert_eq!(
        begun.url.expose(),
        "https://company.intelligencebank.com/auth/?login=0&token=a%2Bb%2Fc"
    );
}

#[tokio::test]
async fn a_platform_whose_certificate_nobody_vouches_for_is_not_spoken_to() {
    let (address, _) = platform(begins()).await;
    let (_, other_ca) = platform(begins()).await;
    for ca in [None, Some(other_ca)] {
        let client = IntelligenceBank::new(&settings(address, ca)).unwrap();
        let error = client.begin(HOST).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Unreachable(_)), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_accepted() {
    let (address, ca) = platform(begins()).await;
    let mut settings = settings(address, Some(ca));
    settings.resolve.insert("other.intelligencebank.com".to_owned(), address);
    let client = IntelligenceBank::new(&settings).unwrap();
    let error = client.begin("other.intelligencebank.com").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn defect_3_a_platform_that_resolves_to_loopback_is_refused_in_production() {
    let (address, ca) = platform(begins()).await;
    let mut settings = settings(address, Some(ca));
    settings.allow_private_addresses = false;
    let error = IntelligenceBank::new(&settings).unwrap().begin(HOST).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn defect_2_a_redirect_is_not_followed() {
    let router = begins()
        .route("/elsewhere", post(|| async { r#"{"content":"stolen"}"# }).get(|| async { "{}" }))
        .route("/v1/auth/app/info", get(|| async { Redirect::temporary("/elsewhere") }));
    let (address, ca) = platform(router).await;
    let client = IntelligenceBank::new(&settings(address, Some(ca))).unwrap();
    let progress = client.progress(HOST, &Secret::new("a")).await.unwrap();
    assert!(matches!(progress, LoginProgress::Unclear { status: 307 }));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_and_a_slow_one_given_up() {
    let router =
        Router::new().route("/v1/auth/app/token", post(|| async { "x".repeat(2000) })).route(
            "/v1/auth/app/info",
            get(|| async {
                std::future::pending::<()>().await;
                StatusCode::OK.into_response()
            }),
        );
    let (address, ca) = platform(router).await;
    let mut settings = settings(address, Some(ca));
    let client = IntelligenceBank::new(&settings).unwrap();
    assert_eq!(client.begin(HOST).await.unwrap_err(), UpstreamError::TooLong);
    settings.request_timeout = Duration::from_millis(200);
    let client = IntelligenceBank::new(&settings).unwrap();
    let error = client.progress(HOST, &Secret::new("a")).await.unwrap_err();
    assert_eq!(error, UpstreamError::Unreachable("it took too long"));
}

#[tokio::test]
async fn row_25_a_session_is_ended_where_the_settings_say_with_its_own_sid() {
    let router = Router::new().route(
        "/v1/auth/app/logout",
        post(|headers: axum::http::HeaderMap| async move {
            let is_ours = headers.get("sid").is_some_and(|sid| sid == "5e55104d");
            if is_ours { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
        }),
    );
    let (address, ca) = platform(router).await;
    let mut settings = settings(address, Some(ca));
    let end = async |settings: &IntelligenceBankSettings, sid: &str| {
        IntelligenceBank::new(settings).unwrap().end(HOST, &Secret::new(sid)).await.unwrap()
    };
    assert_eq!(end(&settings, "5e55104d").await, Ended::NoWay, "none is known by itself");
    settings.logout_path = Some("/v1/auth/app/logout".to_owned());
    assert_eq!(end(&settings, "5e55104d").await, Ended::Yes);
    assert_eq!(end(&settings, "another").await, Ended::Refused { status: 401 });
}

#[tokio::test]
async fn a_platform_that_answers_429_is_understood_with_its_pause() {
    let limited = |value: &'static str| async move {
        (StatusCode::TOO_MANY_REQUESTS, [("retry-after", value)], "{}")
    };
    let router = Router::new()
        .route("/v1/auth/app/token", post(move || limited("42")))
        .route("/v1/auth/app/info", get(move || limited("Wed, 21 Oct 2026 07:28:00 GMT")));
    let (address, ca) = platform(router).await;
    let client = IntelligenceBank::new(&settings(address, Some(ca))).unwrap();
    let error = client.begin(HOST).await.unwrap_err();
    assert_eq!(error, UpstreamError::Limited { retry_after: Some(42) });
    let error = client.progress(HOST, &Secret::new("a")).await.unwrap_err();
    assert_eq!(error, UpstreamError::Limited { retry_after: None });
}
