// What a person does to log in, and what the application makes of it.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

import { PLATFORM } from "./stack.mjs";

export const CLIENT = "mcp-public-client";

/** The application's link to the login page, and what it keeps for the return. */
export function begin(stack, callback, changes = {}) {
  const verifier = randomBytes(32).toString("base64url");
  const state = changes.state ?? randomBytes(8).toString("hex");
  const parameters = new URLSearchParams({
    response_type: "code",
    client_id: CLIENT,
    redirect_uri: `${callback.origin}/callback`,
    scope: "profile",
    state,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    ...changes,
  });
  return { url: `${stack.base}/authorize?${parameters}`, verifier, state, origin: callback.origin };
}

/** Opens the link and names the platform: the page is then the one that waits, and its script runs. */
export async function enterPlatform(page, login, platform = "company", { script = true } = {}) {
  await page.goto(login.url);
  await page.getByLabel("Your platform").fill(platform);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("heading", { name: "Log in at" }).waitFor();
  if (script) {
    // Without it there is nothing to stop.
    await page.getByRole("button", { name: "Stop waiting" }).waitFor();
  }
}

/** Clicks the page's button and gives the window, or the tab, that opens. */
export async function openPlatform(page) {
  const opened = page.context().waitForEvent("page");
  await page.getByRole("link", { name: "Open IntelligenceBank" }).click();
  const window = await opened;
  await window.getByRole("button", { name: "Log in" }).waitFor();
  assert.equal(new URL(window.url()).hostname, PLATFORM);
  return window;
}

/** Logs a demo user in at the simulated platform. */
export async function logIn(window, user = "ada") {
  await window.getByLabel("Demo user").selectOption(user);
  await window.getByRole("button", { name: "Log in" }).click();
}

/** Waits until the browser is back at the application, redeems the code and makes a call. */
export async function arrive(page, login, stack) {
  await page.waitForURL(`${login.origin}/callback?**`);
  const returned = new URL(page.url()).searchParams;
  assert.equal(returned.get("state"), login.state);
  assert.equal(returned.get("iss"), stack.base);
  const { request } = page.context();
  const answer = await request.post(`${stack.base}/token`, {
    form: {
      grant_type: "authorization_code",
      client_id: CLIENT,
      redirect_uri: `${login.origin}/callback`,
      code: returned.get("code"),
      code_verifier: login.verifier,
    },
    ignoreHTTPSErrors: true,
  });
  assert.equal(answer.status(), 200, await answer.text());
  const { access_token: token } = await answer.json();
  const call = await request.get(`${stack.base}/proxy/${PLATFORM}/api/3.0.0/DemoCo1/user`, {
    headers: { authorization: `Bearer ${token}` },
    ignoreHTTPSErrors: true,
  });
  assert.equal(call.status(), 200, await call.text());
}
