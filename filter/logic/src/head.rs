//! The head of a request, read in one pass: what is decided upon before anything is looked up.

use std::borrow::Cow;

use crate::{
    HeaderMap, bearer,
    policy::{Location, Policy, TokenFormat},
    refusal::{METHODS, Refusal},
    target::Target,
};

/// A request for an upstream, as far as it can be judged without knowing its token.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a [u8],
    /// The prefix that the path was under.
    pub(crate) prefix: &'a str,
    pub(crate) target: Target<'a>,
    pub(crate) token: &'a str,
}

/// The headers that decide, as they stand.
#[derive(Default)]
struct Head<'a> {
    method: &'a [u8],
    path: &'a [u8],
    authorization: Option<&'a [u8]>,
    has_more_authorization: bool,
    is_of_another_kind: bool,
}

impl<'a> Request<'a> {
    /// Reads a request; `None` is one that is none of the gateway's business.
    pub(crate) fn read(
        headers: &'a HeaderMap,
        policy: &'a Policy,
    ) -> Result<Option<Self>, Refusal> {
        let head = Head::of(headers);
        let Location::Under { prefix, rest } = policy.locate(head.path) else {
            return Ok(None);
        };
        if !METHODS.iter().any(|allowed| allowed.as_bytes() == head.method) {
            return Err(Refusal::MethodNotAllowed);
        }
        if head.is_of_another_kind {
            return Err(Refusal::KindNotSupported);
        }
        let target = Target::parse(rest, &policy.allowed_ports)?;
        // Where jwt_authn sees no token it lets the request pass, and the token was not checked.
        if policy.token_format == TokenFormat::Jwt
            && head.authorization.is_some_and(|value| !bearer::is_seen_by_jwt_authn(value))
        {
            return Err(Refusal::MissingToken);
        }
        let token = bearer::read(head.authorization, head.has_more_authorization)?;
        if !policy.allows_host(&target.host) {
            return Err(Refusal::HostNotAllowed { host: target.host.into_owned() });
        }
        Ok(Some(Self { method: head.method, prefix, target, token }))
    }

    /// The path without its query, for rules.
    pub(crate) fn path(&self) -> &'a [u8] {
        let path = self.target.path_and_query;
        path.split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    /// The refusal of a host that the token's sessions do not cover.
    pub(crate) fn host_refused(&self) -> Refusal {
        Refusal::HostNotAllowed { host: Cow::clone(&self.target.host).into_owned() }
    }
}

impl<'a> Head<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let mut head = Self::default();
        for (name, value) in headers.iter() {
            match name {
                b":method" => head.method = value,
                b":path" => head.path = value,
                b"authorization" => match head.authorization {
                    None => head.authorization = Some(value),
                    Some(_) => head.has_more_authorization = true,
                },
                b"upgrade" | b":protocol" => head.is_of_another_kind = true,
                b"connection" => head.is_of_another_kind |= asks_for_upgrade(value),
                b"content-type" => head.is_of_another_kind |= is_grpc(value),
                _ => {}
            }
        }
        head
    }
}

/// An upgrade of the connection (RFC 9110 section 7.8) is no plain request; neither is an extended
/// CONNECT (RFC 8441), nor gRPC.
fn asks_for_upgrade(connection: &[u8]) -> bool {
    connection
        .split(|byte| *byte == b',')
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

fn is_grpc(content_type: &[u8]) -> bool {
    let grpc = b"application/grpc";
    content_type.get(..grpc.len()).is_some_and(|start| start.eq_ignore_ascii_case(grpc))
}
