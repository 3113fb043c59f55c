//! Name resolution for outbound connections. What it returns is what is connected to, so that a
//! name cannot pass the check with one address and be used with another (DNS rebinding).

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::addresses::is_public;

/// No address of a name may be used.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to no public address")]
struct NoPublicAddress;

/// Resolves names by the system, and keeps the public addresses alone.
pub(super) struct GuardedResolver {
    /// Development only.
    pub(super) allow_private: bool,
    /// Development only: answers that are not looked up, ports included.
    pub(super) fixed: Arc<BTreeMap<String, SocketAddr>>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let fixed = self.fixed.get(name.as_str()).copied();
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found: Vec<SocketAddr> = match fixed {
                Some(address) => vec![address],
                // Port 0 stands for the port of the URL.
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            let usable: Vec<_> = found
                .into_iter()
                .filter(|address| allow_private || is_public(address.ip()))
                .collect();
            if usable.is_empty() {
                return Err(NoPublicAddress.into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

    use reqwest::dns::Resolve as _;

    use super::GuardedResolver;

    async fn resolve(allow_private: bool, name: &str) -> Option<Vec<SocketAddr>> {
        let fixed = BTreeMap::from([
            ("inside.example".to_owned(), "127.0.0.2:8443".parse().unwrap()),
            ("outside.example".to_owned(), "8.8.8.8:0".parse().unwrap()),
        ]);
        let resolver = GuardedResolver { allow_private, fixed: Arc::new(fixed) };
        resolver.resolve(name.parse().unwrap()).await.ok().map(Iterator::collect)
    }

    #[tokio::test]
    async fn defect_3_a_name_with_a_private_address_is_not_connected_to() {
        assert_eq!(resolve(false, "inside.example").await, None);
        assert_eq!(resolve(false, "localhost").await, None);
        let outside = resolve(false, "outside.example").await.unwrap();
        assert_eq!(outside, ["8.8.8.8:0".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_developer_reaches_the_simulator_on_loopback() {
        let inside = resolve(true, "inside.example").await.unwrap();
        assert_eq!(inside, ["127.0.0.2:8443".parse().unwrap()]);
        assert!(resolve(true, "localhost").await.is_some());
    }
}
