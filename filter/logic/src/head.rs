//! The head of a request, read in one pass: what is decided upon before anything is looked up.

use std::borrow::Cow;

use crate::{
    HeaderMap, bearer,
    header_names::Name,
    headers::Names,
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
    /// What the headers say of the rewrite.
    pub(crate) leaving: Leaving<'a>,
}

/// The headers that decide, as they stand.
#[derive(Default)]
pub(crate) struct Head<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) method: &'a [u8],
    authorization: Option<&'a [u8]>,
    has_more_authorization: bool,
    is_of_another_kind: bool,
    pub(crate) leaving: Leaving<'a>,
}

/// What the rewrite must know of the client's headers.
#[derive(Default)]
pub(crate) struct Leaving<'a> {
    /// The names of those that never go upstream, each once.
    pub(crate) hidden: Names<'a>,
    /// The scheme is that of the upstream already.
    pub(crate) is_https: bool,
    has_encoding: bool,
    /// There is more than one `accept-encoding`.
    pub(crate) has_more_encodings: bool,
    /// There is one, and it asks for no encoding.
    pub(crate) asks_for_identity: bool,
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
        if !head.has_allowed_method() {
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
        Ok(Some(Self { method: head.method, prefix, target, token, leaving: head.leaving }))
    }

    /// The refusal of a host that the token's sessions do not cover.
    pub(crate) fn host_refused(&self) -> Refusal {
        Refusal::HostNotAllowed { host: Cow::clone(&self.target.host).into_owned() }
    }
}

impl<'a> Head<'a> {
    /// Reads the headers.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut head = Self::default();
        for (name, value) in headers.iter() {
            head.take(name, value);
        }
        head
    }

    #[inline]
    fn take(&mut self, name: &'a [u8], value: &'a [u8]) {
        match Name::of(name) {
            Name::Other | Name::Authority => return,
            Name::Method => {
                self.method = value;
                return;
            }
            Name::Path => {
                self.path = value;
                return;
            }
            Name::Scheme => {
                self.leaving.is_https = value == b"https";
                return;
            }
            Name::Protocol => {
                self.is_of_another_kind = true;
                return;
            }
            Name::ContentType => {
                self.is_of_another_kind |= is_grpc(value);
                return;
            }
            Name::AcceptEncoding => {
                self.leaving.take_encoding(value);
                return;
            }
            Name::Authorization => match self.authorization {
                None => self.authorization = Some(value),
                Some(_) => self.has_more_authorization = true,
            },
            Name::Connection => self.is_of_another_kind |= asks_for_upgrade(value),
            Name::Upgrade => self.is_of_another_kind = true,
            Name::Hidden => {}
        }
        if !self.leaving.hidden.contains(&name) {
            self.leaving.hidden.push(name);
        }
    }

    fn has_allowed_method(&self) -> bool {
        self.method == b"GET" || METHODS.iter().any(|allowed| allowed.as_bytes() == self.method)
    }

    /// The token of a request that is written as nearly all are, if nothing stands against it but what a
    /// token that is known has been through already. `None` says nothing.
    pub(crate) fn usual_token(&self) -> Option<&'a [u8]> {
        let is_usual =
            self.has_allowed_method() && !self.is_of_another_kind && !self.has_more_authorization;
        if is_usual { self.authorization?.strip_prefix(b"Bearer ") } else { None }
    }
}

impl Leaving<'_> {
    fn take_encoding(&mut self, value: &[u8]) {
        self.has_more_encodings |= self.has_encoding;
        self.asks_for_identity = !self.has_encoding && value == b"identity";
        self.has_encoding = true;
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
