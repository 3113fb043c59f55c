//! Which addresses a stack uses: fixed ones for people, free ones for tests.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use crate::StackError;
use crate::configuration::secrets::random;

/// The port that URLs without a port mean.
const HTTPS: u16 = 443;
/// Where the simulator listens when 443 cannot be bound.
const HTTPS_FALLBACK: u16 = 8443;

/// Blocks of ports for tests: below the ports that the system hands out by itself (from 32768).
const FIRST_PORT: u16 = 20_000;
const PORTS_A_BLOCK: u16 = 8;
const BLOCKS: u16 = 1_500;
const ATTEMPTS: usize = 200;

/// The addresses of a stack's listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Envoy's listener for clients.
    pub gateway: SocketAddr,
    /// Envoy's admin interface.
    pub envoy_admin: SocketAddr,
    /// Envoy's listener for metrics.
    pub envoy_stats: SocketAddr,
    /// The service's public port.
    pub service_public: SocketAddr,
    /// The service's internal port.
    pub service_internal: SocketAddr,
    /// The simulator's control API.
    pub simulator_control: SocketAddr,
    /// The simulator's TLS listener.
    pub simulator_tls: SocketAddr,
}

impl Places {
    /// Free places for one of many stacks on this machine, and the bound socket of its DNS stub.
    ///
    /// The socket is bound to the first port of a block and so reserves the block for as long as it
    /// lives: the ports stay this stack's between choosing and binding them, and the simulator's
    /// loopback address, which follows from the block, is this stack's alone.
    ///
    /// # Errors
    ///
    /// When no free block is found.
    pub fn free(force_fallback: bool) -> Result<(Self, UdpSocket), StackError> {
        for _ in 0..ATTEMPTS {
            let block = u16::from_be_bytes(random::<2>()?) % BLOCKS;
            if let Some(found) = Self::in_block(block, force_fallback) {
                return Ok(found);
            }
        }
        Err(StackError::configuration(
            "free ports",
            format!("none of {ATTEMPTS} tried blocks of ports from {FIRST_PORT} on is free"),
        ))
    }

    fn in_block(block: u16, force_fallback: bool) -> Option<(Self, UdpSocket)> {
        let base = FIRST_PORT + block * PORTS_A_BLOCK;
        let at = |offset: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, base + offset));
        let reservation = UdpSocket::bind(at(0)).ok()?;
        let [high, low] = block.to_be_bytes();
        let mut places = Self {
            gateway: at(1),
            envoy_admin: at(2),
            envoy_stats: at(3),
            service_public: at(4),
            service_internal: at(5),
            simulator_control: at(6),
            simulator_tls: SocketAddr::from((Ipv4Addr::new(127, 77, high, low), HTTPS)),
        };
        if force_fallback {
            places.simulator_tls.set_port(HTTPS_FALLBACK);
        }
        places.check().ok()?;
        Some((places.with_fallback(), reservation))
    }

    /// Refuses when one of the addresses is taken. (The simulator's 443 may be: see `with_fallback`.)
    ///
    /// # Errors
    ///
    /// When an address cannot be bound; the message names it.
    pub fn check(&self) -> Result<(), StackError> {
        for (what, address) in self.named().into_iter().filter(|(_, at)| *at != self.simulator_tls)
        {
            TcpListener::bind(address).map_err(|source| StackError::AddressTaken {
                what,
                address,
                source,
            })?;
        }
        Ok(())
    }

    /// Refuses addresses that other machines could reach.
    ///
    /// # Errors
    ///
    /// When an address is not a loopback address; the message names it.
    pub fn check_loopback(&self) -> Result<(), StackError> {
        match self.named().into_iter().find(|(_, address)| !address.ip().is_loopback()) {
            Some((what, address)) => Err(StackError::configuration(
                format!("the address {address} of the {what}"),
                "a development stack listens on loopback addresses only",
            )),
            None => Ok(()),
        }
    }

    const fn named(&self) -> [(&'static str, SocketAddr); 7] {
        [
            ("gateway", self.gateway),
            ("Envoy admin interface", self.envoy_admin),
            ("Envoy metrics listener", self.envoy_stats),
            ("service's public port", self.service_public),
            ("service's internal port", self.service_internal),
            ("simulator's control API", self.simulator_control),
            ("simulator's TLS listener", self.simulator_tls),
        ]
    }

    /// The same places, with the simulator on 8443 where its port 443 cannot be bound.
    #[must_use]
    pub fn with_fallback(mut self) -> Self {
        if self.simulator_tls.port() == HTTPS
            && let Err(error) = TcpListener::bind(self.simulator_tls)
            && matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::AddrInUse)
        {
            self.simulator_tls.set_port(HTTPS_FALLBACK);
        }
        self
    }

    /// Whether Envoy needs the static cluster, since DNS maps no ports.
    #[must_use]
    pub const fn needs_static_upstream(&self) -> bool {
        self.simulator_tls.port() != HTTPS
    }
}

/// A DNS stub's socket on any free loopback port, for a stack whose other places are fixed.
///
/// # Errors
///
/// When the system gives none.
pub fn dns_socket() -> Result<UdpSocket, StackError> {
    UdpSocket::bind((IpAddr::from(Ipv4Addr::LOCALHOST), 0))
        .map_err(StackError::io("a port for the DNS stub"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn stacks_that_live_side_by_side_share_no_address() {
        let stacks: Vec<_> = (0..20).map(|_| Places::free(false).unwrap()).collect();
        let addresses: BTreeSet<_> = stacks
            .iter()
            .flat_map(|(places, _)| places.named())
            .map(|(_, address)| address)
            .collect();
        assert_eq!(addresses.len(), 20 * 7);
    }

    #[test]
    fn a_block_with_a_foreign_listener_is_passed_over() {
        let (places, reservation) = Places::free(false).unwrap();
        let block = (reservation.local_addr().unwrap().port() - FIRST_PORT) / PORTS_A_BLOCK;
        assert!(Places::in_block(block, false).is_none(), "the block is reserved");
        drop(reservation);
        let foreign = TcpListener::bind(places.service_internal).unwrap();
        assert!(Places::in_block(block, false).is_none(), "a port is taken");
        drop(foreign);
    }

    #[test]
    fn a_taken_port_443_leads_to_the_fallback() {
        let (mut places, _reservation) = Places::free(true).unwrap();
        assert!(places.needs_static_upstream());
        places.simulator_tls.set_port(HTTPS);
        // Either this takes the port, or it may not be bound here at all.
        let _taken = TcpListener::bind(places.simulator_tls);
        assert_eq!(places.with_fallback().simulator_tls.port(), HTTPS_FALLBACK);
    }

    #[test]
    fn an_address_that_others_could_reach_is_refused() {
        let (mut places, _reservation) = Places::free(false).unwrap();
        places.check_loopback().unwrap();
        places.service_internal.set_ip(IpAddr::from([0, 0, 0, 0]));
        assert!(places.check_loopback().unwrap_err().to_string().contains("internal"));
    }

    #[test]
    fn a_taken_fixed_address_is_named() {
        let (places, _reservation) = Places::free(false).unwrap();
        let _foreign = TcpListener::bind(places.gateway).unwrap();
        let error = places.check().unwrap_err().to_string();
        assert!(error.contains(&places.gateway.to_string()), "{error}");
    }
}
