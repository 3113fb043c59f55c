// The server's own grants, one for each person. A token that an MCP client shows is for this server alone and
// is never passed on (the MCP specification forbids it, and the proxy would refuse it).

import { LoginOver } from "./gateway.mjs";

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
  // What is under way for a person.
  #working = new Map();

  constructor(gateway, redirectUri) {
    this.#gateway = gateway;
    this.#redirectUri = redirectUri;
  }

  /** A call for this person, with what it takes: a link for them, or a refresh. */
  async call(person, path) {
    const key = JSON.stringify([person.platform, person.sub]);
    if (!this.#tokens.has(key)) await this.#alone(key, () => this.#connect(key, person));
    let held = this.#tokens.get(key);
    let answer = await this.#gateway.call(held, path);
    if (answer.status === 401 && (await answer.json()).error_description === "Invalid or expired access token") {
      try {
        held = await this.#refreshed(key, held);
        answer = await this.#gateway.call(held, path);
      } catch (error) {
        if (error.error !== "invalid_grant") throw error;
      }
    }
    if (answer.status !== 401) return answer;
    // Another call may have new ones by now.
    if (this.#tokens.get(key) === held) this.#tokens.delete(key);
    await this.#alone(key, () => this.#ask(key, person, "Your login at IntelligenceBank has ended."));
    return this.call(person, path);
  }

  /** One refresh of these tokens for all calls that used them: a refresh token works once. */
  async #refreshed(key, used) {
    used.refreshing ??= this.#gateway.refresh(used).catch((error) => {
      // The next call tries again.
      used.refreshing = undefined;
      throw error;
    });
    const fresh = await used.refreshing;
    if (this.#tokens.get(key) === used) this.#tokens.set(key, fresh);
    return fresh;
  }

  /** Calls of one person that come at the same time share a login: two links would be one too many. */
  #alone(key, work) {
    if (!this.#working.has(key)) {
      this.#working.set(key, work().finally(() => this.#working.delete(key)));
    }
    return this.#working.get(key);
  }

  async #connect(key, person) {
    const login = this.#logins.get(key);
    if (!login) return this.#ask(key, person, "This server has no access to IntelligenceBank for you yet.");
    let tokens;
    try {
      tokens = await this.#gateway.finishLogin(login);
    } catch (error) {
      // After anything else, an outage say, the person's login is still good.
      if (!(error instanceof LoginOver) && error.error !== "invalid_grant") throw error;
      this.#logins.delete(key);
      return this.#ask(key, person, `${error.message}.`);
    }
    if (!tokens) throw new LinkNeeded(login.link, "Your login is not finished.");
    // The code is used.
    this.#logins.delete(key);
    // The link may have reached somebody else: their account is not this person's.
    const found = await this.#gateway.person(tokens);
    if (found.sub !== person.sub || found.platform !== person.platform) {
      await this.#gateway.revoke(tokens);
      return this.#ask(key, person, "Somebody else has logged in.");
    }
    this.#tokens.set(key, tokens);
  }

  /** Has the person log in, unless another call has seen to that. */
  async #ask(key, person, reason) {
    if (this.#tokens.has(key)) return;
    if (!this.#logins.has(key)) {
      this.#logins.set(key, await this.#gateway.beginLogin(person.platform, this.#redirectUri));
    }
    throw new LinkNeeded(this.#logins.get(key).link, reason);
  }
}
