//! The cookies of the login page: one ties a login to the browser that began it, the other remembers the
//! platform. Both are set when a login begins, whatever becomes of it.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::{hosts::platform_host, settings::Settings, tokens::BrowserSecret};

const LOGIN: &str = "ib_login";
const PLATFORM: &str = "ib_platform";

/// How long a platform is remembered after the last login there began.
const REMEMBERED_SECONDS: u32 = 180 * 24 * 3_600;

/// Over https the `__Host-` prefix makes browsers refuse the cookie from any other host or path. The
/// stage is part of the name, so that the stages of one host do not overwrite each other's; `+` may
/// stand in a cookie's name and cannot stand in a stage.
fn name(settings: &Settings, what: &str) -> String {
    let prefix = if settings.issuer.is_secure() { "__Host-" } else { "" };
    format!("{prefix}{what}{}", settings.issuer.path.replace('/', "+"))
}

/// The browser's secret, if the request brings one that can be ours.
pub(super) fn browser(settings: &Settings, headers: &HeaderMap) -> Option<BrowserSecret> {
    let name = name(settings, LOGIN);
    values(headers, &name).find_map(BrowserSecret::parse)
}

/// The host at which this browser last began a login, if people may still log in there.
pub(super) fn platform(settings: &Settings, headers: &HeaderMap) -> Option<String> {
    let name = name(settings, PLATFORM);
    let allowed = &settings.intelligencebank.platform_hosts;
    values(headers, &name).find_map(|host| platform_host(host, allowed).ok())
}

fn values<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(own, _)| *own == name)
        .map(|(_, value)| value)
}

/// The `Set-Cookie` value that gives `secret` to the browser.
pub(super) fn set(settings: &Settings, secret: &BrowserSecret) -> Option<HeaderValue> {
    let secure = if settings.issuer.is_secure() { "; Secure" } else { "" };
    let text = format!(
        "{}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
        name(settings, LOGIN),
        secret.expose(),
        settings.intelligencebank.login_deadline_seconds,
    );
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The `Set-Cookie` value that remembers a platform's host. Lax, since people come to the page by a link of
/// the application.
pub(super) fn remember(settings: &Settings, platform_host: &str) -> Option<HeaderValue> {
    let secure = if settings.issuer.is_secure() { "; Secure" } else { "" };
    let text = format!(
        "{}={platform_host}; Path=/; Max-Age={REMEMBERED_SECONDS}; HttpOnly; SameSite=Lax{secure}",
        name(settings, PLATFORM),
    );
    HeaderValue::from_str(&text).ok()
}
