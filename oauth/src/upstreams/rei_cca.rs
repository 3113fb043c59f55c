//! REI API CCA: three keys are traded for a Bearer token that lives about a day. There is no refresh
//! token: the next one is acquired as the first was.

use ib_contract::Secret;
use reqwest::{Client, header};
use serde::Deserialize;

use super::{
    Acquired, Answer, ClientError, TokenUpstream, UpstreamError,
    https::{self, ReadError},
    intelligencebank::{retry_after, unreachable},
};
use crate::settings::{IntelligenceBankSettings, MachineCredential};

/// The token endpoint, below the base of the API.
const TOKEN_PATH: &str = "/oauth/token";
/// Longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// Longest token, in bytes: it goes into one header.
const LONGEST_TOKEN: usize = 4 * 1024;
/// Shortest token, in bytes: a shorter one could not be masked in answers.
const SHORTEST_TOKEN: usize = 8;

/// The HTTPS client for all token endpoints.
pub(crate) struct ReiCca {
    http: Client,
}

impl ReiCca {
    /// Reaches endpoints as the platforms of IntelligenceBank are reached.
    pub(crate) fn new(settings: &IntelligenceBankSettings) -> Result<Self, ClientError> {
        let http = https::client(settings, settings.connect_timeout, settings.request_timeout)?;
        Ok(Self { http })
    }
}

impl TokenUpstream for ReiCca {
    fn acquire<'a>(&'a self, credential: &'a MachineCredential) -> Answer<'a, Acquired> {
        Box::pin(async move {
            let form = [
                ("grant_type", "password"),
                ("apikey", credential.api_key.expose()),
                ("integratorID", credential.integrator_id.expose()),
                ("secretkey", credential.secret_key.expose()),
            ];
            let response = self
                .http
                .post(format!("{}{TOKEN_PATH}", credential.api_url))
                .header(header::ACCEPT, "application/json")
                .form(&form)
                .send()
                .await
                .map_err(unreachable)?;
            let status = response.status().as_u16();
            if status == 429 {
                return Err(UpstreamError::Limited { retry_after: retry_after(&response) });
            }
            let body = https::read(response, LONGEST_ANSWER).await;
            let body = body.map_err(|cause| match cause {
                ReadError::TooLong => UpstreamError::TooLong,
                ReadError::Broken(cause) => unreachable(cause),
            })?;
            read_answer(status, &body)
        })
    }
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    token_type: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Problem {
    error: String,
}

/// Reads an answer of the token endpoint.
fn read_answer(status: u16, body: &[u8]) -> Result<Acquired, UpstreamError> {
    match status {
        200 => {}
        400 | 401 | 403 => {
            // Its own words for what is wrong with the keys; others may be of something in between.
            let problem = serde_json::from_slice::<Problem>(body).ok();
            return match problem.as_ref().map(|problem| problem.error.as_str()) {
                Some("unauthorized_client") => {
                    Ok(Acquired::Refused { reason: "unauthorized_client" })
                }
                Some("invalid_client" | "invalid_grant") => {
                    Ok(Acquired::Refused { reason: "keys_refused" })
                }
                Some("unsupported_grant_type") => {
                    Ok(Acquired::Refused { reason: "unsupported_grant_type" })
                }
                _ => Err(UpstreamError::NotAPlatform { status }),
            };
        }
        500.. => return Err(UpstreamError::Unreachable("it failed")),
        _ => return Err(UpstreamError::NotAPlatform { status }),
    }
    // The parser's message may quote the token.
    let given: Given =
        serde_json::from_slice(body).map_err(|_| UpstreamError::Unusable("token answer"))?;
    if !given.token_type.eq_ignore_ascii_case("bearer") {
        return Err(UpstreamError::Unusable("token_type"));
    }
    let token = given.access_token;
    if !(SHORTEST_TOKEN..=LONGEST_TOKEN).contains(&token.len())
        || !token.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(UpstreamError::Unusable("access_token"));
    }
    if given.expires_in == 0 {
        return Err(UpstreamError::Unusable("expires_in"));
    }
    Ok(Acquired::Token { token: Secret::new(token), expires_in: given.expires_in })
}

#[cfg(test)]
mod tests {
    use ib_contract::Secret;

    use super::{Acquired, read_answer};
    use crate::upstreams::UpstreamError;

    #[test]
    fn a_token_is_read_as_the_endpoint_gives_it() {
        let body = br#"{"access_token":"0p4que-t0ken","token_type":"bearer","expires_in":86399}"#;
        let token = Secret::new("0p4que-t0ken");
        assert_eq!(read_answer(200, body), Ok(Acquired::Token { token, expires_in: 86_399 }));
    }

    #[test]
    fn keys_that_are_refused_are_no_outage_and_an_answer_of_something_in_between_is() {
        for (code, reason) in [
            ("unauthorized_client", "unauthorized_client"),
            ("unsupported_grant_type", "unsupported_grant_type"),
            ("invalid_client", "keys_refused"),
        ] {
            let body = format!(r#"{{"error":"{code}"}}"#);
            assert_eq!(read_answer(400, body.as_bytes()), Ok(Acquired::Refused { reason }));
        }
        let page = b"<html>no</html>";
        for status in [301, 400, 403, 404] {
            let answer = read_answer(status, page);
            assert_eq!(answer, Err(UpstreamError::NotAPlatform { status }));
        }
        assert!(matches!(read_answer(503, page), Err(UpstreamError::Unreachable(_))));
    }

    #[test]
    fn a_token_that_could_not_be_sent_masked_or_timed_is_not_taken() {
        for (body, what) in [
            (r#"{"access_token":"short","token_type":"bearer","expires_in":9}"#, "access_token"),
            (
                r#"{"access_token":"with a space","token_type":"bearer","expires_in":9}"#,
                "access_token",
            ),
            (
                r#"{"access_token":"line\r\nbreak","token_type":"bearer","expires_in":9}"#,
                "access_token",
            ),
            (r#"{"access_token":"0p4que-t0ken","token_type":"mac","expires_in":9}"#, "token_type"),
            (
                r#"{"access_token":"0p4que-t0ken","token_type":"bearer","expires_in":0}"#,
                "expires_in",
            ),
            (r#"{"access_token":"0p4que-t0ken","token_type":"bearer"}"#, "token answer"),
            (
                r#"{"access_token":"0p4que-t0ken","token_type":"bearer","expires_in":-1}"#,
                "token answer",
            ),
            ("[]", "token answer"),
        ] {
            let answer = read_answer(200, body.as_bytes());
            assert_eq!(answer, Err(UpstreamError::Unusable(what)), "{body}");
        }
    }
}
