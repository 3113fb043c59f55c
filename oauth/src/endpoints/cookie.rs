//! The cookie that ties a login to the browser that began it.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::{settings::Settings, tokens::BrowserSecret};

/// Over https the `__Host-` prefix makes browsers refuse the cookie from any other host or path. The
/// stage is part of the name, so that the stages of one host do not overwrite each other's; `+` may
/// stand in a cookie's name and cannot stand in a stage.
fn name(settings: &Settings) -> String {
    let prefix = if settings.issuer.is_secure() { "__Host-" } else { "" };
    format!("{prefix}ib_login{}", settings.issuer.path.replace('/', "+"))
}

/// The browser's secret, if the request brings one that can be ours.
pub(super) fn browser(settings: &Settings, headers: &HeaderMap) -> Option<BrowserSecret> {
    let name = name(settings);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(own, _)| *own == name)
        .find_map(|(_, value)| BrowserSecret::parse(value))
}

/// The `Set-Cookie` value that gives `secret` to the browser.
pub(super) fn set(settings: &Settings, secret: &BrowserSecret) -> Option<HeaderValue> {
    let secure = if settings.issuer.is_secure() { "; Secure" } else { "" };
    let text = format!(
        "{}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
        name(settings),
        secret.expose(),
        settings.intelligencebank.login_deadline_seconds,
    );
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
