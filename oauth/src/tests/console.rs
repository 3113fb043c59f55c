//! The console: off unless it is switched on, and then an ordinary client.

use axum::http::StatusCode;

use super::{CHALLENGE, Kit, settings_text};
use crate::settings::Settings;

const FILES: [&str; 5] = [
    "/console",
    "/assets/console.css",
    "/assets/console.js",
    "/assets/console-oauth.js",
    "/assets/console-plot.js",
];
const ON: &str = "console: { enabled: true }";

/// The console's own authorization request.
fn authorize_url(kit: &Kit, redirect_uri: &str) -> String {
    format!(
        "{}/authorize?response_type=code&client_id=gateway-console&scope=profile&state=s\
         &redirect_uri={redirect_uri}&code_challenge={CHALLENGE}&code_challenge_method=S256",
        kit.app.settings.issuer.path
    )
}

#[tokio::test]
async fn in_production_there_is_no_console_unless_an_operator_switches_it_on() {
    for settings in ["", "console:", "console: { enabled: false }", "console: { scopes: [ a ] }"] {
        let kit = Kit::with(settings);
        for path in FILES {
            kit.get(path).await.expect(404, "not_found");
        }
        let page = kit.get(&authorize_url(&kit, "http://127.0.0.1:8080/console")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "there is no such client either");
    }
    let example = std::fs::read_to_string("example.yaml").unwrap();
    assert!(example.contains("\nconsole:\n  enabled: false\n"), "the example of production");
}

#[tokio::test]
async fn the_console_is_a_registered_client_that_returns_to_its_own_page_alone() {
    for issuer in ["https://gateway.example.com", "https://gateway.example.com/dev"] {
        let kit = Kit::with(&format!("issuer: {issuer}\n{ON}"));
        let stage = kit.app.settings.issuer.path.clone();
        for path in FILES {
            let file = kit.get(&format!("{stage}{path}")).await;
            assert_eq!(file.status, StatusCode::OK, "{path}");
            let linked = path.starts_with("/assets/console.");
            let page = kit.get(&format!("{stage}/console")).await;
            assert!(!linked || page.text.contains(&format!("\"{stage}{path}\"")), "{path}");
        }
        let login = kit.get(&authorize_url(&kit, &format!("{issuer}/console"))).await;
        assert_eq!(login.status, StatusCode::OK, "{}", login.text);
        assert!(login.text.contains("<strong>Gateway console</strong>"), "{}", login.text);
        for elsewhere in [
            "https://evil.example/console",
            "https://gateway.example.com/authorize",
            "https://gateway.example.com/console/x",
        ] {
            let refused = kit.get(&authorize_url(&kit, elsewhere)).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{elsewhere}");
        }
    }
}

#[tokio::test]
async fn the_console_allows_nothing_inline_and_no_other_host_and_stands_in_no_frame() {
    let kit = Kit::with(ON);
    let page = kit.get("/console?code=c&state=%22%3E%3Cscript%3E").await;
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert!(!page.text.contains("style=") && !page.text.contains("<script>"));
    assert_eq!(page.header("cache-control"), "no-store");
    for script in ["/assets/console.js", "/assets/console-oauth.js", "/assets/console-plot.js"] {
        let script = kit.get(script).await;
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!script.text.contains(markup), "{markup}");
        }
    }
}

#[tokio::test]
async fn outside_of_development_the_console_offers_to_kill_no_session() {
    let production = Kit::with(&format!("issuer: https://gateway.example.com\n{ON}"));
    let page = production.get("/console").await;
    assert!(!page.text.contains("Kill") && !page.text.contains("id=\"kill\""));
    let development = Kit::with(&format!("{ON}\ndevelopment: {{ allow_private_addresses: true }}"));
    assert!(development.get("/console").await.text.contains("id=\"kill\""));
}

#[test]
fn a_console_that_cannot_be_is_refused_at_start_by_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let problems = |more: &str| {
        let text = settings_text(&folder, more);
        Settings::parse(&text, &[]).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(problems("console: { enabled: true, scopes: [] }").contains("console.scopes: needs"));
    assert!(problems("console: { enabled: true, sopes: [ a ] }").contains("sopes"));
    let text = settings_text(&folder, ON);
    let taken = [("IB_OAUTH__CLIENTS__0__ID", "gateway-console")];
    let error = Settings::parse(&text, &taken).unwrap_err().to_string();
    assert!(error.contains("clients[0].id") && error.contains("of the console"), "{error}");
    let settings = Settings::parse(&text, &[]).unwrap();
    let warned = settings.warnings().iter().any(|warning| warning.field == "console.enabled");
    assert!(warned, "whoever starts it is told");
}
