//! The session as `info?token=` tells it.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use crate::accounts::SessionView;
use crate::{random, reply};

#[derive(Serialize)]
struct Information<'a> {
    /// Not the session's id, though it looks like one.
    #[serde(rename = "SID")]
    outer_id: &'a str,
    content: Content<'a>,
}

#[derive(Serialize)]
struct Content<'a> {
    session: Session<'a>,
    info: Info<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Session<'a> {
    sid: &'a str,
    user_uuid: &'a str,
    original_user_uuid: Option<&'a str>,
    login_time: i64,
}

#[derive(Serialize)]
struct Info<'a> {
    clientid: &'a str,
    sid: &'a str,
    #[serde(rename = "apiV3url")]
    api_v3_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logintimeoutperiod: Option<u32>,
    adminemail: &'a str,
    firstname: &'a str,
    lastname: &'a str,
    useruuid: &'a str,
    clientname: &'a str,
}

/// 200 with the session.
pub(super) fn answer(session: &SessionView) -> Response {
    let Ok(outer_id) = random::hexadecimal::<16>() else {
        return super::message(StatusCode::INTERNAL_SERVER_ERROR, "No randomness");
    };
    let information = Information {
        outer_id: &outer_id,
        content: Content {
            session: Session {
                sid: &session.sid,
                user_uuid: session.user.uuid,
                original_user_uuid: None,
                login_time: session.login_time,
            },
            info: Info {
                clientid: session.tenant.client_id,
                sid: &session.sid,
                api_v3_url: &session.tenant.api_url(),
                logintimeoutperiod: session.login_timeout_hours,
                adminemail: session.tenant.administrator_email,
                firstname: session.user.first_name,
                lastname: session.user.last_name,
                useruuid: session.user.uuid,
                clientname: session.tenant.client_name,
            },
        },
    };
    reply::json(StatusCode::OK, &information)
}
