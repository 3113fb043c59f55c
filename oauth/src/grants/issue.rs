//! Access tokens of both kinds: made for a record, and recognised when somebody presents one.

use super::{AccessRecord, Grants};
use crate::{
    error::Error,
    settings::AccessTokenFormat,
    tokens::{AccessToken, Claims, random_id},
};

impl Grants {
    /// A new access token for this record, of the kind that the settings choose.
    pub(super) fn access_token(&self, access: &AccessRecord) -> Result<AccessToken, Error> {
        let settings = &self.settings;
        let issued = match settings.tokens.access_token_format {
            AccessTokenFormat::Opaque => AccessToken::generate(&settings.token_tags.get()),
            AccessTokenFormat::Jwt => {
                let claims = Claims {
                    iss: &settings.issuer.url,
                    sub: &access.sub,
                    aud: &access.audience,
                    client_id: &access.client_id,
                    scope: &access.scope,
                    iat: access.issued_at,
                    exp: access.expires_at,
                    jti: &random_id()?,
                };
                AccessToken::signed(&settings.signing.get(), &claims)
            }
        };
        Ok(issued?)
    }

    /// Reads what somebody presents. Tokens of both kinds are good, whichever is issued, so that the
    /// setting may change while there are tokens of the other. `None`: none of the keys made it, so
    /// nothing needs to be looked up.
    pub(super) fn presented(&self, token: &str) -> Option<AccessToken> {
        let settings = &self.settings;
        AccessToken::presented(&settings.token_tags.get(), &settings.signing.get(), token)
    }
}
