//! What has expired is refused by its name and is no fault of the service, and what is kept for long is
//! found among many.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, header},
};

use super::{Kit, text};

fn userinfo(token: &str) -> Request<Body> {
    let request =
        Request::get("/userinfo").header(header::AUTHORIZATION, format!("Bearer {token}"));
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn defect_19_an_expired_refresh_token_is_invalid_grant_and_an_expired_access_token_invalid_token()
 {
    let kit = Kit::with("tokens: { access_token_seconds: 60, refresh_token_seconds: 120 }");
    let tokens = kit.tokens().await;
    kit.clock.advance(Duration::from_secs(60));
    let answer = kit.send(userinfo(&text(&tokens, "access_token"))).await;
    answer.expect(401, "invalid_token");
    assert!(answer.header("www-authenticate").contains(r#"error="invalid_token""#));
    // A second before its end the refresh token is good, and at its end it is not.
    kit.clock.advance(Duration::from_secs(59));
    let answer = kit.refresh(&text(&tokens, "refresh_token")).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    let next = text(&answer.json(), "refresh_token");
    kit.clock.advance(Duration::from_secs(1));
    kit.refresh(&next).await.expect(400, "invalid_grant");
}

#[tokio::test]
async fn defect_17_a_refresh_token_is_found_however_many_others_there_are() {
    let kit = Kit::new();
    let mut refresh_tokens = Vec::new();
    for _ in 0..60 {
        refresh_tokens.push(text(&kit.tokens().await, "refresh_token"));
    }
    for token in &refresh_tokens {
        let answer = kit.refresh(token).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    }
}
