// An ordinary public OAuth client: authorization code with PKCE (RFC 7636), refresh tokens, logout. Only what
// has to outlive the way to the login page and back is kept, in this tab, until the return.

const KEPT = "console-login";

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

/** What the service refused, with its error code and its words. */
export class Refused extends Error {
  constructor(code, description) {
    super(description || code);
    this.code = code;
  }
}

/** A client of one gateway. */
export class Client {
  /** `issuer` is the gateway, and `redirectUri` this page. */
  constructor({ issuer, clientId, scope }) {
    Object.assign(this, { issuer, clientId, scope, redirectUri: `${issuer}/console` });
  }

  /** Goes to the login page. */
  async logIn() {
    const verifier = random();
    const state = random();
    sessionStorage.setItem(KEPT, JSON.stringify({ verifier, state }));
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
    const parameters = new URLSearchParams({
      response_type: "code",
      client_id: this.clientId,
      redirect_uri: this.redirectUri,
      scope: this.scope,
      state,
      code_challenge: base64url(new Uint8Array(digest)),
      code_challenge_method: "S256",
    });
    location.assign(`${this.issuer}/authorize?${parameters}`);
  }

  /** The tokens of a login that just returned to this page, or null when there was none. */
  async finish() {
    const returned = new URLSearchParams(location.search);
    if (!returned.has("code") && !returned.has("error")) {
      return null;
    }
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    sessionStorage.removeItem(KEPT);
    // Neither the history nor a bookmark needs the code.
    history.replaceState(null, "", location.pathname);
    // RFC 9207: an answer of another server is not looked at.
    if (!kept || returned.get("state") !== kept.state || returned.get("iss") !== this.issuer) {
      throw new Refused("invalid_state", "This login was not begun in this tab, or its page was reloaded. Log in again");
    }
    if (returned.has("error")) {
      throw new Refused(returned.get("error"), returned.get("error_description"));
    }
    return this.#token({
      grant_type: "authorization_code",
      code: returned.get("code"),
      redirect_uri: this.redirectUri,
      code_verifier: kept.verifier,
    });
  }

  /** The next tokens. */
  refresh(tokens) {
    return this.#token({ grant_type: "refresh_token", refresh_token: tokens.refresh_token });
  }

  /** Who logged in. */
  async person(tokens) {
    return this.#ask("/userinfo", { headers: { authorization: `Bearer ${tokens.access_token}` } });
  }

  /** Ends the grant with all of its tokens. */
  async logOut(tokens) {
    // By the refresh token, which still names the grant when the access token is over.
    const body = new URLSearchParams({ client_id: this.clientId, token: tokens.refresh_token });
    const answer = await fetch(`${this.issuer}/logout`, { method: "POST", body, cache: "no-store" });
    if (!answer.ok) {
      const { error, error_description: description } = await answer.json().catch(() => ({}));
      const why = [answer.status, description].filter(Boolean).join(", ");
      throw new Refused(error, `The logout failed (${why}). The tokens may still be good: try again`);
    }
  }

  async #token(fields) {
    const received = Date.now();
    const body = new URLSearchParams({ client_id: this.clientId, ...fields });
    const tokens = await this.#ask("/token", { method: "POST", body });
    return { ...tokens, received, ends: received + tokens.expires_in * 1000 };
  }

  async #ask(path, options) {
    const answer = await fetch(this.issuer + path, { ...options, cache: "no-store" });
    const body = await answer.json();
    if (!answer.ok) {
      throw new Refused(body.error, body.error_description);
    }
    return body;
  }
}
