//! Free ports on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::error::{BenchError, Result};

/// Where everything of a run listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    /// Envoy, for the load.
    pub(crate) gateway: SocketAddr,
    /// Envoy's admin interface.
    pub(crate) admin: SocketAddr,
    /// The upstream.
    pub(crate) upstream: SocketAddr,
    /// The upstream's tally.
    pub(crate) tally: SocketAddr,
    /// The stub that `ext_authz` and Lua ask.
    pub(crate) authorization: SocketAddr,
    /// The adapter that asks the service for `ext_authz`.
    pub(crate) adapter: SocketAddr,
    /// The service's public port.
    pub(crate) service_public: SocketAddr,
    /// The service's internal port.
    pub(crate) service_internal: SocketAddr,
}

impl Addresses {
    /// Ports that are free now. Whoever listens there finds out if one is taken meanwhile.
    pub(crate) fn free() -> Result<Self> {
        let listeners = [(); 8].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let mut addresses = Vec::new();
        // All are held until the last is chosen, so that no two are the same.
        for listener in &listeners {
            let listener = listener.as_ref().map_err(|cause| {
                BenchError::Failed(format!("no free port on loopback: {cause}"))
            })?;
            addresses.push(listener.local_addr().map_err(BenchError::io("a free port"))?);
        }
        let missing = || BenchError::Failed("too few free ports".to_owned());
        let mut next = addresses.into_iter();
        let mut take = || next.next().ok_or_else(missing);
        Ok(Self {
            gateway: take()?,
            admin: take()?,
            upstream: take()?,
            tally: take()?,
            authorization: take()?,
            adapter: take()?,
            service_public: take()?,
            service_internal: take()?,
        })
    }
}
