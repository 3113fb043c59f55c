// The server's own grants, one for each person. A token that an MCP client shows is for this server alone and
// is never passed on (the MCP specification forbids it, and the proxy would refuse it).

/** The person has to open `link` first. */
export class LinkNeeded extends Error {
  constructor(link, reason) {
    super(`${reason} Open this page, log in, and ask again: ${link}`);
  }
}

export class Grants {
  #gateway;
  #redirectUri;
  // In memory: an example. A real server keeps the tokens sealed, and the logins for a few minutes.
  #tokens = new Map();
  #logins = new Map();

  constructor(gateway, redirectUri) {
    this.#gateway = gateway;
    this.#redirectUri = redirectUri;
  }

  /** A call for this person, with what it takes: a link for them, or a refresh. */
  async call(person, path) {
    const key = JSON.stringify([person.platform, person.sub]);
    if (!this.#tokens.has(key)) await this.#connect(key, person);
    const used = this.#tokens.get(key);
    let answer = await this.#gateway.call(used, path);
    if (answer.status !== 401) return answer;
    const { error_description: reason } = await answer.json();
    if (reason === "Invalid or expired access token") {
      // One refresh of these tokens for all calls that used them: a refresh token works once.
      used.refreshing ??= this.#gateway.refresh(used);
      try {
        const fresh = await used.refreshing;
        if (this.#tokens.get(key) === used) this.#tokens.set(key, fresh);
        answer = await this.#gateway.call(fresh, path);
        if (answer.status !== 401) return answer;
      } catch (error) {
        if (error.error !== "invalid_grant") throw error;
      }
    }
    this.#tokens.delete(key);
    return this.#ask(key, person, "Your login at IntelligenceBank has ended.");
  }

  async #connect(key, person) {
    const login = this.#logins.get(key);
    if (!login) return this.#ask(key, person, "This server has no access to IntelligenceBank for you yet.");
    let tokens;
    try {
      tokens = await this.#gateway.finishLogin(login);
    } catch (error) {
      this.#logins.delete(key);
      return this.#ask(key, person, `${error.message}.`);
    }
    if (!tokens) throw new LinkNeeded(login.link, "Your login is not finished.");
    this.#logins.delete(key);
    // The link may have reached somebody else: their account is not this person's.
    const found = await this.#gateway.person(tokens);
    if (found.sub !== person.sub || found.platform !== person.platform) {
      await this.#gateway.revoke(tokens);
      return this.#ask(key, person, "Somebody else has logged in.");
    }
    this.#tokens.set(key, tokens);
  }

  async #ask(key, person, reason) {
    const login = await this.#gateway.beginLogin(person.platform, this.#redirectUri);
    this.#logins.set(key, login);
    throw new LinkNeeded(login.link, reason);
  }
}
