//! The login as a person goes through it in a browser: by the page's own forms, links and scripts.
#![cfg(test)]

use std::sync::LazyLock;

use ib_end_to_end::{
    Deployment, Form, Grant, LOOPBACK_REDIRECT, LoggedRequest, OAuthClient, PATIENCE,
    PLATFORM_HOST, PUBLIC_CLIENT, Page, Request, Response, StackOptions, Verifier, eventually,
    unique,
};
use serde_json::json;
use url::Url;

static GATEWAY: LazyLock<Deployment> = LazyLock::new(Deployment::shared);

/// A browser on the login page: what it shows, and its cookie.
struct Browser {
    client: OAuthClient<'static>,
    verifier: Verifier,
    state: String,
    page: Page,
    cookie: String,
}

impl Browser {
    /// Opens the link of an application and sends the form for the demo platform.
    #[track_caller]
    fn at_the_waiting_page() -> Self {
        let client = GATEWAY.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
        let (verifier, state) = (Verifier::generate(), unique("state"));
        let form = first_form(&client, &verifier, &state);
        let answer = send(&form.with("platform_url", &format!("https://{PLATFORM_HOST}")), None);
        let answer = answer.with_status(200);
        let cookie = cookie_of(&answer);
        Self { client, verifier, state, page: Page::new(answer.text()), cookie }
    }

    /// Follows the page's link to IntelligenceBank and logs in there.
    #[track_caller]
    fn log_in(&self) {
        let links = self.page.links();
        let link = links.iter().find(|link| link.starts_with("https://"));
        let link = link.unwrap_or_else(|| panic!("no link to the platform: {}", self.page.html()));
        assert!(link.starts_with(&format!("https://{PLATFORM_HOST}/auth/?")), "{link}");
        GATEWAY.simulator().log_in_as_browser(link, "ada");
    }

    /// Asks once whether the login is through, as the page's script does.
    #[track_caller]
    fn poll(&self, cookie: Option<&str>) -> Response {
        let path = self.page.attribute("data-poll").expect("the script learns where to ask");
        let mut request = Request::get(path).header("accept", "application/json");
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        GATEWAY.send(&request)
    }

    /// Ends the login at the place that the application is waiting at.
    #[track_caller]
    fn arrive(&self, redirect: &str) {
        let redirect = Url::parse(redirect).expect("the redirect is a URL");
        let code = self.client.code_of(&redirect, &self.state);
        let grant = Grant::of(&self.client.exchange(&code, self.verifier.secret()));
        let request = GATEWAY.proxied("GET", "/api/3.0.0/browser/user?echo");
        let arrived = LoggedRequest::echoed(&GATEWAY.send(&request.bearer(&grant.access_token)));
        assert_eq!(arrived.host, PLATFORM_HOST);
    }
}

#[test]
fn a_person_logs_in_by_the_page_and_its_script() {
    let browser = Browser::at_the_waiting_page();
    assert_eq!(browser.poll(Some(&browser.cookie)).status, 404, "not logged in yet");
    browser.log_in();
    let redirect = eventually("the login to be seen", PATIENCE, || {
        let answer = browser.poll(Some(&browser.cookie));
        (answer.status != 404).then_some(answer)
    });
    let redirect = redirect.with_status(200).json()["redirect_url"].as_str().unwrap().to_owned();
    browser.arrive(&redirect);
}

#[test]
fn row_20_rfc_9700_4_12_a_person_without_scripts_logs_in_by_the_pages_button() {
    let browser = Browser::at_the_waiting_page();
    let button = browser.page.forms().remove(0);
    let early = send(&button, Some(&browser.cookie));
    assert_eq!(early.status, 200, "too early, the page stays: {early:?}");
    browser.log_in();
    let answer = eventually("the login to be seen", PATIENCE, || {
        let answer = send(&button, Some(&browser.cookie));
        (answer.status != 200).then_some(answer)
    });
    // 303 and never 307: the browser must not send the form on (RFC 9700 section 4.12).
    assert_eq!(answer.status, 303, "{answer:?}");
    browser.arrive(&answer.header("location").unwrap());
}

#[test]
fn defect_7_a_stolen_poll_token_is_no_use_in_another_browser() {
    let browser = Browser::at_the_waiting_page();
    let other = Browser::at_the_waiting_page();
    browser.log_in();
    for cookie in [None, Some(other.cookie.as_str()), Some("ib_login=forged")] {
        let answer = browser.poll(cookie);
        assert!((400..500).contains(&answer.status), "{answer:?}");
        assert!(!answer.text().contains("redirect_url"), "{answer:?}");
        let button = browser.page.forms().remove(0);
        let answer = send(&button, cookie);
        assert_ne!(answer.status, 303, "another browser took the login over: {answer:?}");
        assert!(!answer.text().contains("code="), "{answer:?}");
    }
    let redirect = eventually("the login to be seen by its own browser", PATIENCE, || {
        let answer = browser.poll(Some(&browser.cookie));
        (answer.status == 200).then(|| answer.json()["redirect_url"].as_str().unwrap().to_owned())
    });
    browser.arrive(&redirect);
}

#[test]
fn defect_7_row_20_rfc_9700_4_11_the_page_says_who_asks_and_where_the_person_will_return() {
    let browser = Browser::at_the_waiting_page();
    let html = browser.page.html();
    assert!(html.contains("127.0.0.1"), "it does not say where the person returns: {html}");
    assert!(html.contains(PLATFORM_HOST), "{html}");
    assert!(!html.contains("<script>"), "a script within the page: {html}");
    assert!(!html.contains(browser.verifier.secret()));
}

#[test]
fn the_cookie_of_a_login_is_out_of_reach_of_scripts_and_of_other_sites() {
    let client = GATEWAY.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let form = first_form(&client, &Verifier::generate(), "s");
    let answer = send(&form.with("platform_url", PLATFORM_HOST), None).with_status(200);
    let cookies = answer.headers("set-cookie");
    assert_eq!(cookies.len(), 2, "of the login, and of the platform: {cookies:?}");
    for cookie in cookies.iter().map(|cookie| cookie.to_ascii_lowercase()) {
        assert!(cookie.contains("httponly"), "{cookie}");
        assert!(cookie.contains("samesite="), "{cookie}");
        assert!(!cookie.contains("samesite=none"), "{cookie}");
        assert!(!cookie.contains("domain="), "{cookie}");
    }
}

#[test]
fn a_platform_that_is_not_allowed_is_refused_on_the_page() {
    for platform in [
        "https://evil.example",
        "http://company.intelligencebank.com",
        "https://127.0.0.2",
        "",
        "%",
    ] {
        let client = GATEWAY.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
        let form = first_form(&client, &Verifier::generate(), "s");
        let answer = send(&form.with("platform_url", platform), None);
        assert_eq!(answer.status, 400, "{platform:?}: {answer:?}");
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{answer:?}");
        assert!(answer.header("location").is_none(), "{answer:?}");
        assert!(answer.headers("set-cookie").is_empty(), "a login has begun: {answer:?}");
    }
}

#[test]
fn a_form_whose_request_was_tampered_with_is_judged_like_a_link() {
    let client = GATEWAY.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let form = first_form(&client, &Verifier::generate(), "s");
    let (name, request) = form
        .fields
        .iter()
        .find(|(_, value)| value.contains("redirect_uri="))
        .cloned()
        .expect("the form carries the request");
    let tampered = request.replace("127.0.0.1", "evil.example");
    assert_ne!(tampered, request);
    let answer = send(&form.with(&name, &tampered).with("platform_url", PLATFORM_HOST), None);
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.header("location").is_none(), "{answer:?}");
}

#[test]
fn where_no_setting_asks_for_the_console_neither_it_nor_its_client_is_there() {
    let options =
        StackOptions { service_settings: json!({ "console": null }), ..StackOptions::default() };
    let Some(gateway) = Deployment::own(options) else { return };
    let here = GATEWAY.send(&Request::get("/console")).with_status(200);
    assert!(here.text().contains("gateway-console"), "{here:?}");
    for path in ["/console", "/assets/console.js", "/assets/console.css"] {
        assert_eq!(gateway.send(&Request::get(path)).status, 404, "{path}");
    }
    let target = format!(
        "/authorize?response_type=code&client_id=gateway-console&redirect_uri={}/console",
        gateway.base_url()
    );
    let refused = gateway.send(&Request::get(target).header("accept", "text/html"));
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.text().contains("not registered"), "{refused:?}");
}

/// The form of the page that an application's link opens.
#[track_caller]
fn first_form(client: &OAuthClient<'_>, verifier: &Verifier, state: &str) -> Form {
    let target = client.authorize_target_with(&[
        ("response_type", "code"),
        ("client_id", PUBLIC_CLIENT),
        ("redirect_uri", LOOPBACK_REDIRECT),
        ("scope", "profile"),
        ("state", state),
        ("code_challenge", &verifier.challenge()),
        ("code_challenge_method", "S256"),
    ]);
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let page = GATEWAY.send(&Request::get(target).header("accept", accept)).with_status(200);
    let page = Page::new(page.text());
    page.forms()
        .into_iter()
        .find(|form| form.fields.iter().any(|(name, _)| name == "platform_url"))
        .unwrap_or_else(|| panic!("no form asks for the platform: {}", page.html()))
}

#[track_caller]
fn send(form: &Form, cookie: Option<&str>) -> Response {
    assert_eq!(form.method, "POST");
    let origin = format!("http://{}", GATEWAY.host());
    let page = Url::parse(&format!("{}/authorize", GATEWAY.base_url())).unwrap();
    let target = form.target(&page);
    assert_eq!(target.origin(), page.origin(), "the form leaves the gateway");
    let fields: Vec<_> =
        form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut request = Request::post_form(target.path(), &fields)
        .header("accept", "text/html")
        .header("origin", origin);
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    GATEWAY.send(&request)
}

#[track_caller]
fn cookie_of(answer: &Response) -> String {
    let cookies = answer.headers("set-cookie");
    let own = cookies.iter().find(|cookie| cookie.starts_with("ib_login="));
    own.expect("the page gets a cookie").split(';').next().unwrap_or_default().to_owned()
}
