use std::sync::{Arc, Mutex};

use axum::{Router, routing::any};
use tempfile::TempDir;

use super::{
    Chosen, MOST_PASSES, Remote, list_credentials, list_grants, refresh_credential, revoke_grants,
};
use crate::admin::AdminError;

/// A port that gives these answers, one after the other and the last one for ever, and remembers the bodies
/// that it was sent.
async fn answering(answers: &'static [&'static str]) -> (Remote, TempDir, Arc<Mutex<Vec<String>>>) {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let handler = any(move |body: String| {
        let mut seen = seen.lock().unwrap();
        let answer = answers[seen.len().min(answers.len() - 1)];
        seen.push(body);
        std::future::ready(answer)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    let folder = tempfile::tempdir().unwrap();
    let credential = folder.path().join("credential");
    std::fs::write(&credential, "credential").unwrap();
    (Remote { url, credential, ca: None, identity: None }, folder, bodies)
}

fn client() -> Chosen {
    Chosen { field: "client_id", value: "backend".to_owned() }
}

/// Runs a command as the command line does, outside of a runtime.
async fn outside<T: Send + 'static>(command: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(command).await.unwrap()
}

#[tokio::test]
async fn an_answer_of_something_else_is_never_taken_for_nothing_to_revoke() {
    let foreign: [&'static [&'static str]; 3] =
        [&["<html>Welcome</html>"], &["{}"], &[r#"{"revoked":"0","grants":{}}"#]];
    for answers in foreign {
        let (remote, _folder, _) = answering(answers).await;
        let (revoked, listed) = outside(move || {
            let revoked = revoke_grants(&remote, &client(), |_| {});
            (revoked, list_grants(&remote, &client(), |_| {}))
        })
        .await;
        assert!(matches!(revoked, Err(AdminError::Remote(_))), "{answers:?}: {revoked:?}");
        assert!(matches!(listed, Err(AdminError::Remote(_))), "{answers:?}: {listed:?}");
    }
}

#[tokio::test]
async fn a_grant_that_was_made_while_others_were_revoked_is_revoked_too() {
    let (remote, _folder, bodies) = answering(&[
        r#"{"revoked":100,"next":"m"}"#,
        r#"{"revoked":20,"next":null}"#,
        r#"{"revoked":1,"next":null}"#,
        r#"{"revoked":0,"next":null}"#,
    ])
    .await;
    let revoked = outside(move || revoke_grants(&remote, &client(), |_| {})).await;
    assert_eq!(revoked.unwrap(), 121);
    let own = "client_id=backend";
    let on = "client_id=backend&after=m";
    assert_eq!(*bodies.lock().unwrap(), [own, on, own, own]);
}

#[tokio::test]
async fn revoking_has_an_end_where_grants_are_made_all_the_time_and_says_so() {
    let (remote, _folder, bodies) = answering(&[r#"{"revoked":1,"next":null}"#]).await;
    let revoked = outside(move || revoke_grants(&remote, &client(), |_| {})).await;
    let told = revoked.unwrap_err().to_string();
    assert!(told.contains(&format!("{MOST_PASSES} grants are revoked")), "{told}");
    assert_eq!(bodies.lock().unwrap().len(), MOST_PASSES);
}

#[tokio::test]
async fn credentials_are_listed_one_by_one_and_the_one_that_is_named_is_refreshed() {
    let (remote, _folder, bodies) = answering(&[
        r#"{"credentials":[{"name":"remax-azura"},{"name":"remax-blue-ocean"}]}"#,
        r#"{"name":"remax-azura","generation":2}"#,
        "<html>Welcome</html>",
    ])
    .await;
    let (names, refreshed, foreign) = outside(move || {
        let mut names = Vec::new();
        list_credentials(&remote, |one| names.push(one["name"].clone())).unwrap();
        let refreshed = refresh_credential(&remote, "remax-azura").unwrap();
        (names, refreshed, list_credentials(&remote, |_| {}))
    })
    .await;
    assert_eq!(names, ["remax-azura", "remax-blue-ocean"]);
    assert_eq!(refreshed["generation"], 2);
    assert!(matches!(foreign, Err(AdminError::Remote(_))), "{foreign:?}");
    assert_eq!(bodies.lock().unwrap()[1], "name=remax-azura");
}
