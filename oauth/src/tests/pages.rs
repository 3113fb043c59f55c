//! The pages for people, as a browser without a script uses them.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};

use super::{Answer, Kit, PLATFORM, REDIRECT, authorize_query, authorize_url, parameter, post};
use crate::upstreams::{LoginProgress, UpstreamError};

/// The value of a hidden field, as a browser would send it.
fn hidden(page: &Answer, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let value = page.text.split(&start).nth(1).unwrap_or_else(|| panic!("no {name}"));
    value
        .split('"')
        .next()
        .unwrap()
        .replace("&#38;", "&")
        .replace("&#34;", "\"")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#39;", "'")
}

fn with_cookie(mut request: Request<Body>, page: &Answer) -> Request<Body> {
    let cookie = page.header("set-cookie").split(';').next().unwrap().to_owned();
    request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
    request
}

/// The waiting page of a login that was begun on the page.
async fn waiting(kit: &Kit) -> Answer {
    let form = kit.get(&authorize_url(&[("state", "a\"b&c<d>")])).await;
    assert_eq!(form.status, StatusCode::OK);
    let request = hidden(&form, "authorization_request");
    let page = kit
        .post("/authorize", &[("authorization_request", &request), ("platform_url", "company")])
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    page
}

/// The code of a whole login on the page, whose authorization request has these changes.
pub(super) async fn code_by_page(kit: &Kit, changes: &[(&str, &str)]) -> String {
    let request = authorize_query(changes);
    let form = [("authorization_request", request.as_str()), ("platform_url", PLATFORM)];
    let page = kit.post("/authorize", &form).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    kit.upstream.log_in();
    let go_on = post("/authorize", &[("poll_token", &hidden(&page, "poll_token"))]);
    let done = kit.send(with_cookie(go_on, &page)).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    parameter(done.header("location"), "code")
}

#[tokio::test]
async fn a_person_without_a_script_logs_in_by_link_and_button() {
    let kit = Kit::new();
    let page = waiting(&kit).await;
    assert!(page.text.contains("https://company.intelligencebank.com/auth/?login=0"));
    assert!(page.text.contains("<span>company.<wbr>intelligencebank.<wbr>com</span></h1>"));
    assert!(page.text.contains("MCP client") && page.text.contains("127.0.0.1"));
    let token = hidden(&page, "poll_token");
    let go_on = || with_cookie(post("/authorize", &[("poll_token", &token)]), &page);

    let early = kit.send(go_on()).await;
    assert_eq!(early.status, StatusCode::OK);
    assert!(early.text.contains("not finished yet"));

    kit.upstream.log_in();
    kit.clock.advance(std::time::Duration::from_secs(1));
    let done = kit.send(go_on()).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "row 20: 303 after POST, never 307");
    let location = done.header("location");
    assert!(location.starts_with(&format!("{REDIRECT}?code=")), "{location}");
    assert_eq!(parameter(location, "state"), "a\"b&c<d>");
    assert_eq!(kit.exchange(&parameter(location, "code")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn defect_7_a_login_of_the_page_is_bound_to_the_browser_that_began_it() {
    let kit = Kit::new();
    let page = waiting(&kit).await;
    let cookie = page.header("set-cookie");
    for attribute in ["ib_login=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let token = hidden(&page, "poll_token");
    let url = format!("/authorize/poll?token={token}");
    kit.upstream.log_in();
    kit.get(&url).await.expect(400, "access_denied");
    let other = waiting(&kit).await;
    let request = || Request::get(&url).body(Body::empty()).unwrap();
    kit.send(with_cookie(request(), &other)).await.expect(400, "access_denied");
    let own = kit.send(with_cookie(request(), &page)).await;
    assert_eq!(own.status, StatusCode::OK);
}

#[tokio::test]
async fn a_second_tab_of_the_same_browser_does_not_disturb_the_first() {
    let kit = Kit::new();
    let first = waiting(&kit).await;
    let query = authorize_query(&[]);
    let form = post("/authorize", &[("authorization_request", &query), ("platform_url", PLATFORM)]);
    let second = kit.send(with_cookie(form, &first)).await;
    let cookie = |page: &Answer| page.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(cookie(&first), cookie(&second));
    kit.upstream.log_in();
    for page in [&first, &second] {
        let url = format!("/authorize/poll?token={}", hidden(page, "poll_token"));
        let request = Request::get(url).body(Body::empty()).unwrap();
        assert_eq!(kit.send(with_cookie(request, &second)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn over_https_the_cookie_is_for_this_host_alone() {
    let kit = Kit::with("issuer: https://gateway.example.com");
    let page = waiting(&kit).await;
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with("__Host-ib_login=") && cookie.contains("; Secure"), "{cookie}");
    assert!(cookie.contains("; Path=/;") && !cookie.to_lowercase().contains("domain"), "{cookie}");
}

#[tokio::test]
async fn defect_6_row_20_pages_escape_what_they_reflect_and_cannot_be_framed() {
    let kit = Kit::new();
    let hostile = "\"><script>alert(1)</script>";
    let form = kit.get(&authorize_url(&[("state", hostile), ("platform_url", hostile)])).await;
    let request = hidden(&form, "authorization_request");
    let refused = kit
        .post("/authorize", &[("authorization_request", &request), ("platform_url", hostile)])
        .await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    // A form of someone else's making may hold the request with nothing encoded in it.
    let raw = format!("{}&x={hostile}", authorize_query(&[]));
    let forged =
        kit.post("/authorize", &[("authorization_request", &raw), ("platform_url", "")]).await;
    assert_eq!(hidden(&forged, "authorization_request"), raw);
    let error = kit.get(&authorize_url(&[("client_id", hostile)])).await;
    for page in [&form, &refused, &forged, &error, &waiting(&kit).await] {
        assert!(
            !page.text.contains("<script>") && !page.text.contains("alert(1)</"),
            "{}",
            page.text
        );
        for inline in ["<style", "style=", "onclick=", "onload=", "onerror=", "javascript:"] {
            assert!(!page.text.contains(inline), "{inline}");
        }
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"));
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(page.headers.get("access-control-allow-origin").is_none());
    }
}

#[tokio::test]
async fn a_wrong_platform_is_explained_beside_the_field_and_keeps_what_was_entered() {
    let kit = Kit::new();
    let query = authorize_query(&[]);
    let enter = async |platform: &str| {
        kit.post("/authorize", &[("authorization_request", &query), ("platform_url", platform)])
            .await
    };
    let page = enter("evil.example").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.text.contains("value=\"evil.example\"") && page.text.contains("role=\"alert\""));
    assert_eq!(hidden(&page, "authorization_request"), query);
    kit.upstream.begins_with(Err(UpstreamError::Unreachable("test")));
    let page = enter("company").await;
    assert!(page.text.contains("cannot be reached"), "{}", page.text);
}

#[tokio::test]
async fn a_clients_own_post_is_asked_for_the_platform_and_its_request_parameter_is_none_of_the_forms()
 {
    let kit = Kit::new();
    let inner = authorize_query(&[("client_id", "other-public-client")]);
    let query = authorize_query(&[("request", &inner)]);
    let request = Request::post("/authorize")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(query.clone()))
        .unwrap();
    let page = kit.send(request).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("role=\"alert\""), "nothing is wrong yet: {}", page.text);
    assert!(page.text.contains("<strong>MCP client</strong>"), "{}", page.text);
    let own = hidden(&page, "authorization_request");
    assert_eq!(own, query);
    // The page's own form, sent with nothing in it, is explained.
    let page = kit.post("/authorize", &[("authorization_request", &own)]).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.text.contains("role=\"alert\""));
}

#[tokio::test]
async fn the_page_says_where_the_person_will_return_in_words_for_a_loopback_address() {
    let kit = Kit::new();
    for (redirect, words) in [
        (REDIRECT, "an application on this device (127.0.0.1)"),
        ("https://claude.ai/api/mcp/auth_callback", "<strong>claude.ai</strong>"),
    ] {
        let page = kit.get(&authorize_url(&[("redirect_uri", redirect)])).await;
        assert!(page.text.contains(words), "{}", page.text);
    }
}

#[tokio::test]
async fn the_cookies_of_two_stages_on_one_host_have_names_of_their_own() {
    for (issuer, name) in [
        ("http://127.0.0.1:8080/dev", "ib_login+dev="),
        ("http://127.0.0.1:8080/main", "ib_login+main="),
        ("https://gateway.example.com/dev", "__Host-ib_login+dev="),
    ] {
        let kit = Kit::with(&format!("issuer: {issuer}"));
        let path = format!("{}/authorize", kit.app.settings.issuer.path);
        let form = [
            ("authorization_request", authorize_query(&[])),
            ("platform_url", "company".to_owned()),
        ];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        let page = kit.post(&path, &form).await;
        assert!(page.header("set-cookie").starts_with(name), "{}", page.header("set-cookie"));
        kit.upstream.log_in();
        let go_on = post(&path, &[("poll_token", &hidden(&page, "poll_token"))]);
        assert_eq!(kit.send(with_cookie(go_on, &page)).await.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn the_platform_of_the_request_stands_in_the_field() {
    let kit = Kit::new();
    let platform = "https://company.intelligencebank.com";
    let page = kit.get(&authorize_url(&[("platform_url", platform)])).await;
    assert!(page.text.contains("value=\"https://company.intelligencebank.com\""));
}

#[tokio::test]
async fn a_forged_form_cannot_send_the_person_elsewhere() {
    let kit = Kit::new();
    let query = authorize_query(&[("redirect_uri", "https://evil.example/")]);
    let page = kit
        .post("/authorize", &[("authorization_request", &query), ("platform_url", "company")])
        .await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.headers.get(header::LOCATION).is_none());
    assert_eq!(kit.upstream.begun.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_login_that_failed_returns_to_the_client_with_an_error() {
    let kit = Kit::new();
    let page = waiting(&kit).await;
    kit.upstream.answers(Ok(LoginProgress::Expired));
    let token = hidden(&page, "poll_token");
    let go_on = with_cookie(post("/authorize", &[("poll_token", &token)]), &page);
    let answer = kit.send(go_on).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(parameter(answer.header("location"), "error"), "access_denied");
    assert_eq!(parameter(answer.header("location"), "iss"), "http://127.0.0.1:8080");
    // The client hears what the page says.
    let page = waiting(&kit).await;
    kit.upstream.answers(Err(UpstreamError::Unusable("session id")));
    let token = hidden(&page, "poll_token");
    let go_on = with_cookie(post("/authorize", &[("poll_token", &token)]), &page);
    let answer = kit.send(go_on).await;
    let location = answer.header("location");
    assert_eq!(parameter(location, "error"), "access_denied");
    assert!(parameter(location, "error_description").contains("cannot use"), "{location}");
    let unknown = kit.post("/authorize", &[("poll_token", "nonsense")]).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    assert!(unknown.header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn the_pages_files_are_served_with_their_types() {
    for kit in [Kit::new(), Kit::with("issuer: http://127.0.0.1:8080/dev")] {
        let stage = kit.app.settings.issuer.path.clone();
        let css = kit.get(&format!("{stage}/assets/login.css")).await;
        assert_eq!(css.header("content-type"), "text/css; charset=utf-8");
        let script = kit.get(&format!("{stage}/assets/login.js")).await;
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        let page = kit.get(&format!("{stage}{}", authorize_url(&[]))).await;
        assert!(page.text.contains(&format!("href=\"{stage}/assets/login.css\"")));
        assert!(page.text.contains(&format!("action=\"{stage}/authorize\"")));
    }
}

#[tokio::test]
async fn the_platform_of_the_last_login_stands_in_the_field_the_next_time() {
    let kit = Kit::with("issuer: https://gateway.example.com");
    let page = waiting(&kit).await;
    let cookies: Vec<_> = page.headers.get_all("set-cookie").iter().collect();
    let remembered = cookies[1].to_str().unwrap();
    for attribute in ["__Host-ib_platform=", "HttpOnly", "SameSite=Lax", "Path=/", "Secure"] {
        assert!(remembered.contains(attribute), "{remembered}");
    }
    let field = async |url: &str, cookie: &str| {
        let request = Request::get(url).header(header::COOKIE, cookie).body(Body::empty()).unwrap();
        hidden(&kit.send(request).await, "platform_url\" type=\"text")
    };
    let cookie = remembered.split(';').next().unwrap();
    assert_eq!(field(&authorize_url(&[]), cookie).await, PLATFORM);
    let other = authorize_url(&[("platform_url", "other")]);
    assert_eq!(field(&other, cookie).await, "other", "the application knows better");
    // Only this service's own host can set the cookie, and still nothing but a platform gets into the page.
    for forged in ["evil.example", "\"><script>", "http://company.intelligencebank.com", ""] {
        let cookie = format!("__Host-ib_platform={forged}");
        assert_eq!(field(&authorize_url(&[]), &cookie).await, "", "{forged}");
    }
}

#[tokio::test]
async fn an_error_page_names_the_request_for_those_who_can_read_the_log() {
    let kit = Kit::new();
    let ask = async |id: &str| {
        let request = Request::get(authorize_url(&[("client_id", "unknown")]))
            .header("x-request-id", id)
            .body(Body::empty())
            .unwrap();
        kit.send(request).await
    };
    let page = ask("7e1e6c2e-1745-4660-8555-c1d505f99c69").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(
        page.text.contains("<code>7e1e6c2e-1745-4660-8555-c1d505f99c69</code>"),
        "{}",
        page.text
    );
    let hostile = ask("<script>").await;
    assert!(!hostile.text.contains("script") && !hostile.text.contains("Reference"));
}

#[tokio::test]
async fn a_page_that_was_left_open_too_long_leads_to_a_new_login() {
    let kit = Kit::new();
    let page = waiting(&kit).await;
    kit.clock.advance(std::time::Duration::from_secs(600));
    let token = hidden(&page, "poll_token");
    let request = hidden(&page, "authorization_request");
    let form = [("poll_token", token.as_str()), ("authorization_request", request.as_str())];
    let late = kit.send(with_cookie(post("/authorize", &form), &page)).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
    assert!(late.text.contains("has expired"), "{}", late.text);
    let link = late.text.split("href=\"/authorize?").nth(1).expect("a way to begin again");
    let query = link.split('"').next().unwrap().replace("&#38;", "&");
    assert_eq!(query, request);
    assert_eq!(kit.get(&format!("/authorize?{query}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn another_site_that_sends_the_form_begins_no_login_and_takes_no_tabs_cookie() {
    let kit = Kit::new();
    let request = authorize_query(&[]);
    let form = [("authorization_request", request.as_str()), ("platform_url", "company")];
    let send = async |site: &'static str, form: &[(&str, &str)]| {
        let mut request = post("/authorize", form);
        request.headers_mut().insert("sec-fetch-site", site.parse().unwrap());
        kit.send(request).await
    };
    let begun = || kit.upstream.begun.load(std::sync::atomic::Ordering::SeqCst);
    for site in ["cross-site", "same-site", "something-new"] {
        let page = send(site, &form).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        assert!(page.headers.get(header::SET_COOKIE).is_none(), "{site}");
        assert_eq!(hidden(&page, "platform_url\" type=\"text"), "company", "as a link fills it in");
        assert_eq!(hidden(&page, "authorization_request"), request);
    }
    // A client's own request may be sent from wherever the client is.
    let own = authorize_query(&[("platform_url", "company")]);
    let own: Vec<_> = url::form_urlencoded::parse(own.as_bytes()).into_owned().collect();
    let own: Vec<_> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let page = send("cross-site", &own).await;
    assert!(page.headers.get(header::SET_COOKIE).is_none());
    assert_eq!(begun(), 0, "IntelligenceBank was asked nothing");
    for (expected, site) in [(1, "same-origin"), (2, "none")] {
        let page = send(site, &form).await;
        assert!(page.headers.get(header::SET_COOKIE).is_some(), "{site}");
        assert_eq!(begun(), expected, "{site}");
    }
}

#[tokio::test]
async fn a_person_who_meets_a_limit_at_continue_hears_how_long_to_wait_and_can_begin_again() {
    let kit = Kit::with("limits: { poll: { address: { per_minute: 1, burst: 1 } } }");
    let page = waiting(&kit).await;
    let request = hidden(&page, "authorization_request");
    let token = hidden(&page, "poll_token");
    let form = [("poll_token", token.as_str()), ("authorization_request", request.as_str())];
    let go_on = async || kit.send(with_cookie(post("/authorize", &form), &page)).await;
    assert_eq!(go_on().await.status, StatusCode::OK);
    let limited = go_on().await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(limited.text.contains("seconds, then try again"), "{}", limited.text);
    let link = limited.text.split("href=\"/authorize?").nth(1).expect("a way to try again");
    assert_eq!(link.split('"').next().unwrap().replace("&#38;", "&"), request);
}

#[tokio::test]
async fn a_browser_asks_for_a_pages_file_again_and_after_an_upgrade_gets_the_new_one() {
    let kit = Kit::with("console: { enabled: true }");
    for path in ["/assets/login.css", "/assets/login.js", "/assets/console-oauth.js"] {
        let file = kit.get(path).await;
        assert_eq!(file.header("cache-control"), "public, no-cache", "{path}");
        let tag = file.header("etag").to_owned();
        assert!(tag.len() > 20 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        let ask = async |known: String| {
            let request = Request::get(path).header(header::IF_NONE_MATCH, known);
            kit.send(request.body(Body::empty()).unwrap()).await
        };
        // A proxy that compresses makes the tag a weak one.
        for known in [tag.clone(), format!("W/{tag}"), format!("\"old\", {tag}")] {
            let same = ask(known).await;
            assert_eq!((same.status, same.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}");
            assert_eq!(same.header("etag"), tag);
        }
        let upgraded = ask("\"of-the-version-before\"".to_owned()).await;
        assert_eq!((upgraded.status, &upgraded.text), (StatusCode::OK, &file.text), "{path}");
    }
}
