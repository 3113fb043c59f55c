//! IntelligenceBank's answers, read leniently where its clients have seen variety and strictly where
//! a wrong value could do harm.

use ib_contract::Secret;
use serde_json::Value;

use super::super::{LoginProgress, Person, UpstreamError, UpstreamSession};

/// Longest token of a login that is believed.
const LONGEST_LOGIN_TOKEN: usize = 512;
/// Longest session id that is believed. Real ones have 26 or 32 characters.
const LONGEST_SID: usize = 256;
/// Longest piece of text that is kept.
const LONGEST_TEXT: usize = 512;

/// Reads the answer to `POST /v1/auth/app/token`: the token of a new login.
pub(super) fn login_token(status: u16, body: &[u8]) -> Result<Secret, UpstreamError> {
    let not_a_platform = UpstreamError::NotAPlatform { status };
    if status != 200 {
        return Err(not_a_platform);
    }
    let value: Value = serde_json::from_slice(body).map_err(|_| not_a_platform.clone())?;
    let token = value.get("content").and_then(Value::as_str).ok_or(not_a_platform)?;
    let usable = (1..=LONGEST_LOGIN_TOKEN).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    if usable { Ok(Secret::new(token)) } else { Err(UpstreamError::Unusable("login token")) }
}

/// Reads the answer to `GET /v1/auth/app/info`.
///
/// While nobody has logged in that is a 404, or 200 with JSON that has no session. An expired login is
/// also a 404, which says so in its body. Clients have seen answers without JSON before a login, too;
/// those, redirects and other refusals may as well be of a firewall or of a page for maintenance.
pub(super) fn progress(status: u16, body: &[u8]) -> Result<LoginProgress, UpstreamError> {
    match status {
        200 => {}
        404 if says_expired(body) => return Ok(LoginProgress::Expired),
        404 => return Ok(LoginProgress::Pending),
        408 | 429 => return Err(UpstreamError::Unreachable("it asked to try again later")),
        500.. => return Err(UpstreamError::Unreachable("it answered with a server error")),
        _ => return Ok(LoginProgress::Unclear { status }),
    }
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Ok(LoginProgress::Unclear { status });
    };
    let Some(session) = value.pointer("/content/session").filter(|session| session.is_object())
    else {
        return Ok(LoginProgress::Pending);
    };
    let info = value.pointer("/content/info").unwrap_or(&Value::Null);
    let sid = session
        .get("sid")
        .and_then(Value::as_str)
        .filter(|sid| is_sid(sid))
        .ok_or(UpstreamError::Unusable("session id"))?;
    let uuid = text(session, "userUuid")
        .or_else(|| text(info, "useruuid"))
        .ok_or(UpstreamError::Unusable("user id"))?;
    let period = number(info, "logintimeoutperiod").or_else(|| {
        let content = value.get("content").unwrap_or(&Value::Null);
        number(content, "logintimeoutperiod").or_else(|| number(&value, "logintimeoutperiod"))
    });
    Ok(LoginProgress::Complete(Box::new(UpstreamSession {
        sid: Secret::new(sid),
        login_time: number(session, "loginTime").and_then(|seconds| u64::try_from(seconds).ok()),
        period_hours: period,
        api_url: text(info, "apiV3url"),
        ib_client_id: text(info, "clientid"),
        person: Person {
            uuid,
            given_name: text(info, "firstname"),
            family_name: text(info, "lastname"),
            email: own_email(info),
        },
    })))
}

/// `email` is the person's own; `adminemail` is the platform administrator's, and never the user's.
fn own_email(info: &Value) -> Option<String> {
    let administrator = text(info, "adminemail").unwrap_or_default();
    text(info, "email")
        .filter(|own| own.contains('@') && !own.trim().eq_ignore_ascii_case(administrator.trim()))
}

fn says_expired(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).to_ascii_lowercase().contains("resource has expired")
}

/// Never a fixed length: older sessions have shorter ids. The alphabet keeps header and cookie
/// syntax out.
fn is_sid(text: &str) -> bool {
    (1..=LONGEST_SID).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_,-".contains(&byte))
}

fn text(value: &Value, name: &str) -> Option<String> {
    value
        .get(name)?
        .as_str()
        .filter(|text| !text.is_empty() && text.len() <= LONGEST_TEXT)
        .filter(|text| !text.chars().any(|own| own.is_control() || is_bidi_control(own)))
        .map(str::to_owned)
}

/// Characters that turn the direction of the text around them, and so make it read as another.
fn is_bidi_control(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// A number, written as one or as text, rounded down. One that is too large for its type becomes the
/// largest that fits.
fn number(value: &Value, name: &str) -> Option<i64> {
    let value = value.get(name)?;
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    // Exact up to 2^53, which is beyond every time and period that is believed; the cast saturates.
    number.is_finite().then(|| number.floor() as i64)
}

#[cfg(test)]
mod tests;
