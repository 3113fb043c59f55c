//! REI API CCA: what its keys get, and what a token opens.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{COMPANY, Fixture};

const HOST: &str = "remax-cca.com";
const AZURA: [(&str, &str); 4] = [
    ("grant_type", "password"),
    ("apikey", "demo-azura-api-key"),
    ("integratorID", "demo-azura-integrator"),
    ("secretkey", "demo-azura-secret-key"),
];

impl Fixture {
    async fn trade(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let request = self.request(Method::POST, HOST, "/api/v1/oauth/token").form(form);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn azura_token(&self) -> String {
        let (status, answer) = self.trade(&AZURA).await;
        assert_eq!(status, 200);
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn list(&self, token: &str, target: &str) -> (u16, Value) {
        let request = self.get(HOST, target).header("authorization", format!("bearer {token}"));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

#[tokio::test]
async fn the_right_keys_of_one_brand_get_a_token_and_no_others_do() {
    let fixture = Fixture::start();
    let (status, answer) = fixture.trade(&AZURA).await;
    assert_eq!((status, &answer["token_type"]), (200, &json!("bearer")));
    assert_eq!(answer["expires_in"], 86_399);
    assert_eq!(answer.as_object().unwrap().len(), 3, "no refresh token: {answer}");
    for position in 1..4 {
        let mut wrong = AZURA;
        wrong[position].1 = "demo-blue-ocean-api-key";
        let refused = (400, json!({"error": "unauthorized_client"}));
        assert_eq!(fixture.trade(&wrong).await, refused, "{position}");
    }
    let mut other = AZURA;
    other[0].1 = "client_credentials";
    let refused = (400, json!({"error": "unsupported_grant_type"}));
    assert_eq!(fixture.trade(&other).await, refused);
}

#[tokio::test]
async fn a_token_lists_its_brands_properties_by_take_and_skip() {
    let fixture = Fixture::start();
    let token = fixture.azura_token().await;
    let (status, list) = fixture.list(&token, "/api/v1/GetProperties/take/2/skip/3").await;
    let references: Vec<_> = list["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["reference"].as_str().unwrap())
        .collect();
    assert_eq!((status, references), (200, vec!["remax-azura-0004", "remax-azura-0005"]));
    let (_, end) = fixture.list(&token, "/api/v1/GetProperties/take/10/skip/25").await;
    assert_eq!(end, json!({"result": []}));
    for target in ["/api/v1/GetProperties", "/api/v1/GetProperties/take/x/skip/0", "/api/v2/x"] {
        assert_eq!(fixture.list(&token, target).await.0, 404, "{target}");
    }
}

#[tokio::test]
async fn without_a_live_token_everything_but_the_token_endpoint_is_401() {
    let fixture = Fixture::start();
    let target = "/api/v1/GetProperties/take/1/skip/0";
    let token = fixture.azura_token().await;
    let dead = fixture.azura_token().await;
    let (killed, _) =
        fixture.control(Method::POST, &format!("/rei-cca/tokens/{dead}/kill"), Value::Null).await;
    assert_eq!(killed, 204);
    assert_eq!(fixture.list(&dead, target).await.0, 401);
    assert_eq!(fixture.list("unknown", target).await.0, 401);
    assert_eq!(fixture.get(HOST, target).send().await.unwrap().status(), 401);
    let echo = fixture.get(HOST, "/api/v1/x?echo").send().await.unwrap();
    assert_eq!(echo.status(), 401);
    let sid = fixture.log_in(COMPANY, "ada").await;
    let with_sid = fixture.get(HOST, target).header("sid", sid).send().await.unwrap();
    assert_eq!(with_sid.status(), 401, "another upstream's session");
    assert_eq!(fixture.list(&token, target).await.0, 200);
    fixture.advance(86_398);
    assert_eq!(fixture.list(&token, target).await.0, 200);
    fixture.advance(1);
    assert_eq!(fixture.list(&token, target).await.0, 401, "its time is over");
}

#[tokio::test]
async fn tokens_live_as_long_as_the_settings_say() {
    let fixture = Fixture::start();
    fixture.set(json!({"rei_cca_token_seconds": 5})).await;
    assert_eq!(fixture.trade(&AZURA).await.1["expires_in"], 5);
    let (status, _) =
        fixture.control(Method::PUT, "/settings", json!({"rei_cca_token_seconds": 0})).await;
    assert_eq!(status, 400);
}
