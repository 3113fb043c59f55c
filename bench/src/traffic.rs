//! What is asked for, and how it looks when it has been rewritten.

/// The authority of the gateway.
pub(crate) const GATEWAY_HOST: &str = "gateway.example.com";
/// The host that the requests are for.
pub(crate) const UPSTREAM_HOST: &str = "company.intelligencebank.com";
/// The path for the upstream.
const PATH: &str = "/api/3.0.0/client/resource.limit(0,100)?verbose";

/// The size of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// 1,000 bytes of JSON.
    Small,
    /// 1,000 bytes of JSON with the session id in two URLs.
    SmallWithSid,
    /// 64 KiB of JSON with the session id in 16 URLs.
    Large,
}

impl Body {
    /// Every size.
    pub(crate) const ALL: [Self; 3] = [Self::Small, Self::SmallWithSid, Self::Large];

    /// The path for the upstream, which chooses the size.
    pub(crate) fn upstream_path(self) -> String {
        match self {
            Self::Small => PATH.to_owned(),
            Self::SmallWithSid => format!("{PATH}&urls"),
            Self::Large => format!("{PATH}&large"),
        }
    }

    /// The path at the gateway.
    pub(crate) fn gateway_path(self) -> String {
        format!("/proxy/{UPSTREAM_HOST}{}", self.upstream_path())
    }

    /// Bytes of the answer, and how often the session id is in it.
    pub(crate) fn size(self) -> (usize, usize) {
        match self {
            Self::Small => (1_000, 0),
            Self::SmallWithSid => (1_000, 2),
            Self::Large => (65_536, 16),
        }
    }
}

/// The request's headers besides host and authorization, as a browser application sends them.
pub(crate) const HEADERS: &str = "accept: application/json, text/plain, */*\r\n\
accept-encoding: gzip, deflate, br\r\n\
accept-language: en-GB,en;q=0.9\r\n\
cache-control: no-cache\r\n\
origin: https://app.example.com\r\n\
sec-fetch-mode: cors\r\n\
sec-fetch-site: cross-site\r\n\
user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36\r\n";

/// One request, byte for byte as the load generator sends it. Without a token it has no authorization.
pub(crate) fn request(body: Body, token: Option<&str>) -> String {
    let authorization =
        token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let path = body.gateway_path();
    format!("GET {path} HTTP/1.1\r\nhost: {GATEWAY_HOST}\r\n{HEADERS}{authorization}\r\n")
}
