//! `POST /sessions/renew`: get a newer session in place of one that is near its end or rejected.
//!
//! The request is a form; the answer is an introspection of the same token. Whoever asks with a
//! generation that is behind gets the newer session, and nothing is done twice.

/// What the gateway asks with.
#[derive(Clone, Copy)]
pub struct RenewalRequest<'a> {
    /// An access token that may use the session.
    pub token: &'a str,
    /// The session's id, as an introspection named it.
    pub session: &'a str,
    /// The generation that the gateway knows.
    pub generation: u64,
    /// Why it asks.
    pub cause: RenewalCause,
}

/// Why a session is to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewalCause {
    /// Its end is near, as the service said in `refresh_in`. It is in use still.
    NearExpiry,
    /// The upstream has rejected it.
    Rejected,
}

impl RenewalCause {
    /// The value of the form field `cause`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NearExpiry => "near_expiry",
            Self::Rejected => "rejected",
        }
    }

    /// Reads the form field `cause`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::NearExpiry, Self::Rejected].into_iter().find(|cause| cause.as_str() == text)
    }
}

/// The names of the form's fields.
pub mod field {
    /// The access token.
    pub const TOKEN: &str = "token";
    /// The session's id.
    pub const SESSION: &str = "session";
    /// The generation that the caller knows, in decimal.
    pub const GENERATION: &str = "generation";
    /// [`RenewalCause`](super::RenewalCause).
    pub const CAUSE: &str = "cause";
}

#[cfg(test)]
mod tests {
    use super::RenewalCause;

    #[test]
    fn both_sides_spell_a_cause_alike() {
        for cause in [RenewalCause::NearExpiry, RenewalCause::Rejected] {
            assert_eq!(RenewalCause::parse(cause.as_str()), Some(cause));
        }
        assert_eq!(RenewalCause::parse("Rejected"), None);
    }
}
