//! Reading an authorization request, and deciding where its errors go: to the client only when its
//! redirect URI is a registered one (RFC 6749 section 4.1.2.1).

use std::sync::Arc;

use super::super::{parameters::Parameters, token};
use crate::{
    app::App,
    authorization::{AuthorizationRequest, WayBack, percent_encode},
    clients::Client,
    error::Error,
    pkce,
    settings::Settings,
};

/// Longest `state` that is carried.
const LONGEST_STATE: usize = 4 * 1024;

/// A request that cannot go on.
#[derive(Debug)]
pub(super) enum Refused {
    /// The client or its redirect URI is not known: nobody is redirected anywhere.
    Here(Error),
    /// The client is told.
    AtTheClient(Box<WayBack>, Error),
}

impl Refused {
    pub(super) fn error(self) -> Error {
        match self {
            Self::Here(error) | Self::AtTheClient(_, error) => error,
        }
    }
}

/// Checks `parameters`; with the request comes the client that makes it.
pub(super) async fn read(
    app: &App,
    parameters: &Parameters,
) -> Result<(AuthorizationRequest, Arc<Client>), Refused> {
    let (client, redirect_uri) = parties(app, parameters).await.map_err(Refused::Here)?;
    let state = parameters.bytes("state").filter(|state| state.len() <= LONGEST_STATE);
    let way_back =
        WayBack { redirect_uri: redirect_uri.to_owned(), state: state.map(percent_encode) };
    match read_rest(&app.settings, parameters, &client, way_back.clone()) {
        Ok(request) => Ok((request, client)),
        Err(error) => Err(Refused::AtTheClient(Box::new(way_back), error)),
    }
}

/// The client, and a redirect URI that is registered for it.
async fn parties<'p>(
    app: &App,
    parameters: &'p Parameters,
) -> Result<(Arc<Client>, &'p str), Error> {
    let client = app
        .clients
        .find(parameters.required("client_id")?)
        .await?
        .ok_or(Error::InvalidClient("This client is not registered"))?;
    let redirect_uri = parameters.required("redirect_uri")?;
    if !client.may_redirect_to(redirect_uri) {
        return Err(Error::invalid_request("The redirect_uri is not registered for this client"));
    }
    Ok((client, redirect_uri))
}

fn read_rest(
    settings: &Settings,
    parameters: &Parameters,
    client: &Client,
    way_back: WayBack,
) -> Result<AuthorizationRequest, Error> {
    parameters.refuse_repeated()?;
    if parameters.bytes("state").is_some_and(|state| state.len() > LONGEST_STATE) {
        return Err(Error::invalid_request("The state is too long"));
    }
    if parameters.required("response_type")? != "code" {
        return Err(Error::UnsupportedResponseType);
    }
    if parameters.text("response_mode")?.is_some_and(|mode| mode != "query") {
        return Err(Error::invalid_request("The response_mode must be query"));
    }
    let code_challenge = code_challenge(parameters, client)?;
    let scope = client.grantable_scope(parameters.text("scope")?).ok_or(Error::InvalidScope)?;
    let audience = token::audience(&settings.resources, parameters)?
        .unwrap_or(&settings.resources.default)
        .to_owned();
    Ok(AuthorizationRequest {
        client_id: client.id.clone(),
        way_back,
        scope,
        audience,
        code_challenge,
    })
}

/// The S256 challenge, which public clients must send (RFC 9700 section 2.1.1). A missing method
/// would mean `plain` (RFC 7636 section 4.3), which is refused.
fn code_challenge(parameters: &Parameters, client: &Client) -> Result<Option<String>, Error> {
    let challenge = parameters.text("code_challenge")?;
    let method = parameters.text("code_challenge_method")?;
    match (challenge, method) {
        (None, None) if client.is_public() => {
            Err(Error::invalid_request("PKCE is required: Missing code_challenge parameter"))
        }
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Error::parameter("Missing", "code_challenge")),
        (Some(challenge), Some("S256")) if pkce::is_challenge(challenge) => {
            Ok(Some(challenge.to_owned()))
        }
        (Some(_), Some("S256")) => Err(Error::parameter("Malformed", "code_challenge")),
        (Some(_), _) => Err(Error::invalid_request("The code_challenge_method must be S256")),
    }
}
