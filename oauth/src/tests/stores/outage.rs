//! A store that goes away in the middle, and comes back.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{
    super::{Kit, NOW, gateway::authorized, post, scripted::Scripted, text},
    Shared, instance,
};
use crate::{clock::ManualClock, store::servers::Server};

/// A wire between an instance and its store, which can be cut.
struct Wire {
    port: u16,
    whole: watch::Sender<bool>,
}

impl Wire {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (whole, watched) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut watched = watched.clone();
                tokio::spawn(async move {
                    if *watched.borrow_and_update()
                        && let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await
                    {
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                            _ = watched.wait_for(|whole| !whole) => {}
                        }
                    }
                });
            }
        });
        Self { port: own, whole }
    }
}

async fn service(shared: &Shared) -> Arc<Kit> {
    let (clock, upstream) = (Arc::new(ManualClock::at(NOW)), Arc::new(Scripted::default()));
    instance(shared.store().await, &clock, &upstream).await
}

async fn readiness(kit: &Kit) -> StatusCode {
    kit.send_internal(Request::get("/readyz").body(Body::empty()).unwrap()).await.status
}

/// What a service does that cannot reach its store: it says so, with each request.
async fn is_refused(kit: &Kit, access_token: &str, refresh_token: &str) {
    assert_eq!(readiness(kit).await, StatusCode::SERVICE_UNAVAILABLE);
    kit.refresh(refresh_token).await.expect(503, "temporarily_unavailable");
    let introspection = authorized(post("/introspect", &[("token", access_token)]));
    kit.send_internal(introspection).await.expect(503, "temporarily_unavailable");
}

async fn until_ready(kit: &Kit) {
    let ready = async {
        while readiness(kit).await != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ready).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a redis-server: make test-stores"]
async fn while_redis_is_down_requests_get_503_and_afterwards_everything_is_there() {
    let mut shared = Shared::Redis(Server::redis());
    let kit = service(&shared).await;
    let tokens = kit.tokens().await;
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    let Shared::Redis(server) = &mut shared else { panic!("not Redis") };
    server.kill();
    is_refused(&kit, &access, &refresh).await;
    server.restart();
    until_ready(&kit).await;
    assert_eq!(kit.introspect(&access).await["active"], true);
    assert_eq!(kit.refresh(&refresh).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a DynamoDB server: make test-stores"]
async fn while_dynamodb_cannot_be_reached_requests_get_503_and_afterwards_everything_is_there() {
    let mut server = Server::dynamodb();
    let wire = Wire::to(server.port).await;
    server.port = wire.port;
    let shared = Shared::Dynamodb(server);
    let kit = service(&shared).await;
    let tokens = kit.tokens().await;
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    wire.whole.send_replace(false);
    is_refused(&kit, &access, &refresh).await;
    wire.whole.send_replace(true);
    until_ready(&kit).await;
    assert_eq!(kit.introspect(&access).await["active"], true);
    assert_eq!(kit.refresh(&refresh).await.status, StatusCode::OK);
}
