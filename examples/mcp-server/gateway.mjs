// What the server asks the gateway: whose token it was shown, and tokens of its own for the proxy.

import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import * as oauth from "oauth4webapi";

/** No code will come of this login: another one has to be begun. */
export class LoginOver extends Error {}

/** The gateway's authorization server, by this server's own client. */
export class Gateway {
  static async discover(url, clientId, clientSecret) {
    const issuer = new URL(url);
    // Plain HTTP on this machine is for development; oauth4webapi asks to be told so.
    const options = issuer.protocol === "http:" ? { [oauth.allowInsecureRequests]: true } : {};
    const answer = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...options });
    const metadata = await oauth.processDiscoveryResponse(issuer, answer);
    return new Gateway(metadata, { client_id: clientId }, oauth.ClientSecretBasic(clientSecret), options);
  }

  constructor(metadata, client, authentication, options) {
    Object.assign(this, { metadata, client, authentication, options });
  }

  /** Introspects a token that an MCP client has shown (RFC 7662): what a TokenVerifier of the SDK gives. */
  async verifyAccessToken(token) {
    const { metadata, client } = this;
    const answer = await oauth.introspectionRequest(metadata, client, this.authentication, token, this.options);
    const found = await oauth.processIntrospectionResponse(metadata, client, answer);
    if (!found.active) throw new InvalidTokenError("The token is not active");
    return {
      token,
      clientId: found.client_id,
      scopes: found.scope.split(" "),
      expiresAt: found.exp,
      // requireBearerAuth compares it: a token for the proxy, or for another server, is not for this one.
      resource: new URL(found.aud),
      // A user's id is IntelligenceBank's within a customer, so the platform belongs to it.
      extra: { sub: found.sub, platform: found.ib_platform_url },
    };
  }

  /** Begins a login of the person at their platform: a link for them, and what completes it. */
  async beginLogin(platform, redirectUri) {
    const verifier = oauth.generateRandomCodeVerifier();
    const state = oauth.generateRandomState();
    const url = new URL(this.metadata.authorization_endpoint);
    url.search = new URLSearchParams({
      response_type: "code",
      client_id: this.client.client_id,
      redirect_uri: redirectUri,
      scope: "profile",
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      platform_url: platform,
    });
    const answer = await fetch(url, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`the gateway begins no login: ${answer.status}`);
    const { loginUrl, token } = await answer.json();
    return { link: loginUrl, poll: token, verifier, state, redirectUri };
  }

  /** The tokens of a login: nothing while the person has not finished; LoginOver when it came to nothing. */
  async finishLogin({ poll, verifier, state, redirectUri }) {
    const question = `${this.metadata.authorization_endpoint}/poll?token=${encodeURIComponent(poll)}`;
    const answer = await fetch(question);
    if (answer.status === 404) return undefined;
    if (answer.status === 400) {
      throw new LoginOver(`the login came to nothing: ${(await answer.json()).error_description}`);
    }
    if (!answer.ok) throw new Error(`the gateway cannot be asked about the login now: ${answer.status}`);
    const back = new URL((await answer.json()).redirect_url);
    const { metadata, client, authentication, options } = this;
    // Checks `state` and `iss` (RFC 9207).
    const parameters = oauth.validateAuthResponse(metadata, client, back, state);
    const exchanged = await oauth.authorizationCodeGrantRequest(
      metadata, client, authentication, parameters, redirectUri, verifier, options,
    );
    return oauth.processAuthorizationCodeResponse(metadata, client, exchanged);
  }

  async refresh(tokens) {
    const { metadata, client, authentication, options } = this;
    const answer = await oauth.refreshTokenGrantRequest(
      metadata, client, authentication, tokens.refresh_token, options,
    );
    return oauth.processRefreshTokenResponse(metadata, client, answer);
  }

  /** Who an access token of this server's own speaks for. */
  async person(tokens) {
    const answer = await oauth.userInfoRequest(this.metadata, this.client, tokens.access_token, this.options);
    if (!answer.ok) throw new Error(`the gateway does not say who has logged in: ${answer.status}`);
    const { sub, ib_platform_url: platform } = await answer.json();
    return { sub, platform };
  }

  async revoke(tokens) {
    const { metadata, client, authentication, options } = this;
    const answer = await oauth.revocationRequest(metadata, client, authentication, tokens.refresh_token, options);
    await oauth.processRevocationResponse(answer);
  }

  /** A call to IntelligenceBank through the proxy. */
  async call(tokens, path) {
    const api = `${new URL(tokens.apiV3url).host}/api/3.0.0/${tokens.clientid}`;
    return fetch(`${this.metadata.issuer}/proxy/${api}/${path}`, {
      headers: { Authorization: `Bearer ${tokens.access_token}` },
    });
  }
}
