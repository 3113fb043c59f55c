//! The login pages: plain HTML that works without scripts, but for the message to the opener.

use axum::response::Response;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};

use super::Display;
use crate::reply;
use crate::tenants::Tenant;

const PAGE: &str = include_str!("../pages/page.html");
const FORM: &str = include_str!("../pages/form.html");
const SUCCESS: &str = include_str!("../pages/success.html");
const EXPIRED: &str = include_str!("../pages/expired.html");
const STYLE: &str = include_str!("../pages/login.css");
const COMPLETE_SCRIPT: &str = include_str!("../pages/complete.js");

/// The form on which one chooses a demo user.
pub(super) fn form(tenant: &Tenant, content: &str, display: Display) -> Response {
    page(StatusCode::OK, tenant, display, "Log in", &form_body(tenant, content, display, ""))
}

/// The form again, since no user has the name that was posted.
pub(super) fn unknown_user(tenant: &Tenant, content: &str, display: Display) -> Response {
    let notice = r#"<p class="error" role="alert">There is no such user here.</p>"#;
    let body = form_body(tenant, content, display, notice);
    page(StatusCode::BAD_REQUEST, tenant, display, "Log in", &body)
}

/// The login is done; the page tells its opener.
pub(super) fn success(tenant: &Tenant, display: Display) -> Response {
    page(StatusCode::OK, tenant, display, "Logged in", SUCCESS)
}

/// The token is unknown, used or expired.
pub(super) fn expired(tenant: &Tenant, display: Display) -> Response {
    page(StatusCode::NOT_FOUND, tenant, display, "The resource has expired", EXPIRED)
}

/// The pages' style sheet.
pub(super) fn style() -> Response {
    secured(reply::with_type(StatusCode::OK, "text/css; charset=utf-8", STYLE), Display::Window)
}

/// The script of the success page.
pub(super) fn complete_script() -> Response {
    let script = "text/javascript; charset=utf-8";
    secured(reply::with_type(StatusCode::OK, script, COMPLETE_SCRIPT), Display::Window)
}

fn form_body(tenant: &Tenant, content: &str, display: Display, notice: &str) -> String {
    let users: String = tenant
        .users
        .iter()
        .map(|user| {
            format!(
                r#"<option value="{}">{} {}</option>"#,
                escaped(user.name),
                escaped(user.first_name),
                escaped(user.last_name)
            )
        })
        .collect();
    let display = if display == Display::Frame { "iframe" } else { "" };
    FORM.replace("{notice}", notice)
        .replace("{users}", &users)
        .replace("{display}", display)
        // Last, so that nothing in it can stand for another placeholder.
        .replace("{token}", &escaped(content))
}

fn page(
    status: StatusCode,
    tenant: &Tenant,
    display: Display,
    title: &str,
    body: &str,
) -> Response {
    let html = PAGE
        .replace("{title}", &escaped(title))
        .replace("{client_name}", &escaped(tenant.client_name))
        .replace("{host}", tenant.host)
        .replace("{body}", body);
    secured(reply::with_type(status, "text/html; charset=utf-8", html), display)
}

/// No Cross-Origin-Opener-Policy here: it would cut the page off from its opener.
fn secured(mut response: Response, display: Display) -> Response {
    let policy = match display {
        Display::Window => {
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'"
        }
        Display::Frame => {
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; \
             base-uri 'none'; frame-ancestors *"
        }
    };
    let headers: [(HeaderName, &'static str); 3] = [
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// `text` as it may stand between tags and in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::{Display, escaped, form_body};
    use crate::tenants::COMPANY;

    #[test]
    fn a_token_from_a_link_cannot_become_markup() {
        let body = form_body(&COMPANY, r#""><script>{users}"#, Display::Window, "");
        assert!(body.contains(r#"value="&quot;&gt;&lt;script&gt;{users}""#));
        assert!(!body.contains("<script>"));
        assert_eq!(escaped("a&'b"), "a&amp;&#39;b");
    }
}
