//! Settings of clients that are not in the settings: those that register themselves, and those with a
//! document of their own.

use std::time::Duration;

use crate::{clients::host_of, hosts::HostList, tokens::SecretHash};

/// Dynamic client registration (RFC 7591), where it is switched on.
#[derive(Debug)]
pub(crate) struct RegistrationSettings {
    /// Hosts of https redirects; loopback addresses are always allowed.
    pub(crate) redirect_hosts: HostList,
    pub(crate) scopes: Vec<String>,
    /// What a caller must show. Without it anybody may register.
    pub(crate) initial_access_token: Option<SecretHash>,
    /// Whether a client may register keys, and so be a confidential one.
    pub(crate) confidential: bool,
    /// How long a registration lives after its last use.
    pub(crate) unused_seconds: u64,
    pub(crate) maximum_per_day: u64,
}

/// Client id metadata documents, where they are switched on.
#[derive(Debug)]
pub(crate) struct DocumentSettings {
    /// Hosts that documents may be on, and https redirects lead to.
    pub(crate) hosts: HostList,
    pub(crate) scopes: Vec<String>,
    /// How long a document is kept at least, whatever it says.
    pub(crate) shortest: Duration,
    /// How long at most.
    pub(crate) longest: Duration,
}

impl DocumentSettings {
    /// Whether a client id is a URL on an allowed host.
    pub(crate) fn allows(&self, id: &str) -> bool {
        host_of(id).is_some_and(|host| self.hosts.allows(&host))
    }
}
