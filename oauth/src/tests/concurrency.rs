//! Many at once: one code has one winner, one login one code, one refresh token one successor.

use std::{collections::HashSet, sync::Arc};

use axum::http::StatusCode;

use super::{Answer, Kit, text};

/// What `count` tasks get that do the same at the same time.
async fn together<F>(kit: &Arc<Kit>, count: usize, act: impl Fn(Arc<Kit>) -> F) -> Vec<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|_| tokio::spawn(act(Arc::clone(kit)))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn defect_14_of_a_hundred_exchanges_of_one_code_one_wins() {
    let kit = Arc::new(Kit::new());
    let code = kit.code().await;
    let answers = together(&kit, 100, |kit| {
        let code = code.clone();
        async move { kit.exchange(&code).await }
    })
    .await;
    let (won, lost): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == StatusCode::OK);
    assert_eq!(won.len(), 1);
    for answer in lost {
        answer.expect(400, "invalid_grant");
    }
    // The losers were second uses, so what the winner got is revoked.
    let token = text(&won[0].json(), "access_token");
    assert_eq!(kit.introspect(&token).await["active"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn defect_14_a_hundred_polls_of_one_login_mint_one_code() {
    let kit = Arc::new(Kit::with("intelligencebank: { poll_interval_milliseconds: 0 }"));
    let token = kit.begin().await;
    kit.upstream.log_in();
    let answers = together(&kit, 100, |kit| {
        let token = token.clone();
        async move { kit.poll(&token).await }
    })
    .await;
    let mut redirects = HashSet::new();
    for answer in answers {
        match answer.status {
            StatusCode::OK => {
                redirects.insert(text(&answer.json(), "redirect_url"));
            }
            _ => answer.expect(404, "authorization_pending"),
        }
    }
    redirects.insert(text(&kit.poll(&token).await.json(), "redirect_url"));
    assert_eq!(redirects.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn defect_14_two_instances_that_poll_one_login_mint_one_code() {
    let kit = Kit::with("intelligencebank: { poll_interval_milliseconds: 0 }");
    let token = kit.begin().await;
    kit.upstream.log_in();
    // A second service over the same store, without the first one's memory.
    let twin = crate::app::App::new(
        Arc::clone(&kit.app.settings),
        Arc::clone(&kit.app.records),
        kit.upstream.clone(),
        kit.clock.clone(),
    );
    let twin = crate::endpoints::public(&Arc::new(twin));
    let (kit, twin) = (Arc::new(kit), twin);
    let poll = format!("/authorize/poll?token={token}");
    let other = tokio::spawn(async move {
        let request = axum::http::Request::get(poll).body(axum::body::Body::empty()).unwrap();
        Answer::of(tower::ServiceExt::oneshot(twin, request).await.unwrap()).await
    });
    let own = kit.poll(&token).await;
    let other = other.await.unwrap();
    assert_eq!(own.status, StatusCode::OK);
    assert_eq!(own.text, other.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn defect_15_a_hundred_refreshes_of_one_token_leave_one_living_family() {
    let kit = Arc::new(Kit::new());
    let tokens = kit.tokens().await;
    let refresh_token = text(&tokens, "refresh_token");
    let answers = together(&kit, 100, |kit| {
        let refresh_token = refresh_token.clone();
        async move { kit.refresh(&refresh_token).await }
    })
    .await;
    let successors: HashSet<_> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
            (text(&answer.json(), "access_token"), text(&answer.json(), "refresh_token"))
        })
        .collect();
    assert_eq!(successors.len(), 1);
    let (access_token, refresh_token) = successors.into_iter().next().unwrap();
    assert_eq!(kit.introspect(&access_token).await["active"], true);
    assert_eq!(kit.refresh(&refresh_token).await.status, StatusCode::OK);
}
