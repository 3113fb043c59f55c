//! Who sends a request, as far as limits go: the client's address, whatever proxies stand between.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
};

use crate::{
    app::App,
    clients::Client,
    error::Error,
    limits::{Endpoint, address},
};

/// The address that a request counts for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller(pub(super) IpAddr);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        // The server names the peer of each connection; without one, all share their limits.
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
        Ok(Self(address::of_client(peer, &parts.headers, app.settings.server.trusted_hops)))
    }
}

impl Caller {
    /// The client that `check` finds. Failures count for the address, and beyond their limit nothing
    /// is checked any more; what succeeds counts for the client. A public one proves nothing: anybody could
    /// use up its limit for all of its users.
    pub(super) async fn authenticated(
        self,
        app: &App,
        endpoint: Endpoint,
        check: impl Future<Output = Result<Arc<Client>, Error>>,
    ) -> Result<Arc<Client>, Error> {
        app.limits.may_authenticate(endpoint, self.0)?;
        let checked = check.await;
        match &checked {
            Ok(client) if client.is_public() => {}
            Ok(client) => app.limits.client(endpoint, &client.id)?,
            Err(Error::InvalidClient(_)) => app.limits.authentication_failed(self.0),
            Err(_) => {}
        }
        checked
    }
}
