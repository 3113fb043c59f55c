//! The brands of REI API CCA and the tokens that their keys got: rules, with no HTTP in them.

use crate::bounded_map::BoundedMap;
use crate::random::{self, NoRandomness};

const MAXIMUM_TOKENS: usize = 100_000;
/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 32;

/// A brand, with its demo keys and the number of its properties.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Brand {
    pub(crate) name: &'static str,
    api_key: &'static str,
    integrator_id: &'static str,
    secret_key: &'static str,
    pub(crate) properties: u32,
}

/// Every brand.
pub(crate) static BRANDS: [Brand; 2] = [
    Brand {
        name: "remax-azura",
        api_key: "demo-azura-api-key",
        integrator_id: "demo-azura-integrator",
        secret_key: "demo-azura-secret-key",
        properties: 25,
    },
    Brand {
        name: "remax-blue-ocean",
        api_key: "demo-blue-ocean-api-key",
        integrator_id: "demo-blue-ocean-integrator",
        secret_key: "demo-blue-ocean-secret-key",
        properties: 7,
    },
];

impl Brand {
    /// The brand that these keys are of, all three of them.
    pub(crate) fn of_keys(
        api_key: &str,
        integrator_id: &str,
        secret_key: &str,
    ) -> Option<&'static Self> {
        BRANDS.iter().find(|brand| {
            brand.api_key == api_key
                && brand.integrator_id == integrator_id
                && brand.secret_key == secret_key
        })
    }
}

/// Tokens by their text.
pub(crate) struct Tokens(BoundedMap<Token>);

struct Token {
    brand: &'static Brand,
    expires_at: i64,
    killed: bool,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        Self(BoundedMap::new(MAXIMUM_TOKENS))
    }

    /// A new token, which lives for `lifetime` seconds from `now` on. Those before it live on.
    pub(crate) fn issue(
        &mut self,
        brand: &'static Brand,
        lifetime: u32,
        now: i64,
    ) -> Result<String, NoRandomness> {
        let text = random::hexadecimal::<TOKEN_BYTES>()?;
        let expires_at = now.saturating_add(i64::from(lifetime));
        self.0.insert(text.clone(), Token { brand, expires_at, killed: false });
        Ok(text)
    }

    /// Whose a token is, while it lives.
    pub(crate) fn brand_of(&self, text: &str, now: i64) -> Option<&'static Brand> {
        let token = self.0.get(text)?;
        (!token.killed && now < token.expires_at).then_some(token.brand)
    }

    /// Ends a token before its time. `false`: there is none like this.
    pub(crate) fn kill(&mut self, text: &str) -> bool {
        let token = self.0.get_mut(text);
        token.map(|token| token.killed = true).is_some()
    }
}
