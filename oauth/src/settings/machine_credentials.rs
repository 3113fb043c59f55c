//! Credentials for upstreams that want a token obtained with keys, checked.

use ib_contract::Secret;

/// What every scope that chooses a credential begins with.
pub(crate) const UPSTREAM_SCOPE: &str = "upstream:";

/// The credentials that there are, and how their tokens are kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct MachineCredentialSettings {
    /// How long before its end a token is due, where it lives longer than that.
    pub(crate) refresh_buffer_seconds: u64,
    /// The setting that the buffer came from, for whoever is warned of it.
    pub(crate) refresh_buffer_field: &'static str,
    /// How long a token that was acquired because its upstream had rejected the one before is taken for
    /// as good as it gets.
    pub(crate) rejection_pause_seconds: u64,
    pub(crate) credentials: Vec<MachineCredential>,
}

/// One credential: keys for a token endpoint.
#[derive(Debug, Clone)]
pub(crate) struct MachineCredential {
    /// What operators and scopes call it.
    pub(crate) name: String,
    /// The scope that chooses it.
    pub(crate) scope: String,
    /// The base of the API, https, without a trailing slash.
    pub(crate) api_url: String,
    /// The one host that may get the token: lower case, no port.
    pub(crate) host: String,
    pub(crate) api_key: Secret,
    pub(crate) integrator_id: Secret,
    pub(crate) secret_key: Secret,
    /// The name of its record in the store. It changes with the address and the keys, so that a token
    /// goes nowhere but where it came from, and instances with old and with new keys do not undo each
    /// other's work.
    pub(crate) record: String,
}

impl MachineCredentialSettings {
    pub(crate) fn named(&self, name: &str) -> Option<&MachineCredential> {
        self.credentials.iter().find(|credential| credential.name == name)
    }

    /// The credentials that a scope chooses.
    ///
    /// # Errors
    ///
    /// [`Ambiguous`]: two of them are for one host.
    pub(crate) fn chosen_by(&self, scope: &str) -> Result<Vec<&MachineCredential>, Ambiguous> {
        let mut chosen: Vec<&MachineCredential> = Vec::new();
        for credential in &self.credentials {
            if !scope.split(' ').any(|own| own == credential.scope) {
                continue;
            }
            if chosen.iter().any(|other| other.host == credential.host) {
                return Err(Ambiguous);
            }
            chosen.push(credential);
        }
        Ok(chosen)
    }
}

/// A scope chooses two credentials for one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ambiguous;
