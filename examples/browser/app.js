// A browser application without a server of its own: authorization code with PKCE, tokens in memory alone.

import * as oauth from "/oauth4webapi.js";

const { gateway, clientId } = await (await fetch("/settings.json")).json();
const client = { client_id: clientId };
const none = oauth.None();
const redirectUri = new URL("/callback", location.href).href;
// Plain HTTP on this machine is for development; oauth4webapi asks to be told so.
const plain = new URL(gateway).protocol === "http:" && { [oauth.allowInsecureRequests]: true };
// What the gateway says about itself, the tokens, and a refresh that is under way.
let server, tokens, refreshing;

const element = (id) => document.getElementById(id);
element("log-in").addEventListener("click", () => attempt(logIn));
element("reload").addEventListener("click", () => attempt(showFolders));
element("log-out").addEventListener("click", () => attempt(logOut));
await attempt(start);

/** After the redirect the address holds the code; otherwise nobody is logged in yet. */
async function start() {
  await discover();
  if (location.pathname !== "/callback") return show("Nobody is logged in.");
  const back = new URL(location.href);
  // The code is good once: it does not stay in the history.
  history.replaceState(null, "", "/");
  const { state, verifier } = JSON.parse(sessionStorage.getItem("login") ?? "{}");
  sessionStorage.removeItem("login");
  if (!state) throw new Error("This window began no login.");
  // Checks `state` and `iss` (RFC 9207); an `error` is thrown.
  const parameters = oauth.validateAuthResponse(server, client, back, state);
  const answer = await oauth.authorizationCodeGrantRequest(
    server, client, none, parameters, redirectUri, verifier, { ...plain },
  );
  tokens = await oauth.processAuthorizationCodeResponse(server, client, answer);
  await showFolders();
}

async function discover() {
  if (server) return;
  const issuer = new URL(gateway);
  const answer = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...plain });
  server = await oauth.processDiscoveryResponse(issuer, answer);
}

/** Leaves the page: the gateway's login page comes next, and then `/callback`. */
async function logIn() {
  await discover();
  const login = { state: oauth.generateRandomState(), verifier: oauth.generateRandomCodeVerifier() };
  // For this window, and only until it comes back.
  sessionStorage.setItem("login", JSON.stringify(login));
  const page = new URL(server.authorization_endpoint);
  page.search = new URLSearchParams({
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: "profile",
    state: login.state,
    code_challenge: await oauth.calculatePKCECodeChallenge(login.verifier),
    code_challenge_method: "S256",
  });
  location.assign(page);
}

async function showFolders() {
  const api = `${tokens.apiV3url}/api/3.0.0/${tokens.clientid}`;
  const answer = await call(`${api}/folder.limit(0,5)?verbose`);
  if (!answer.ok) throw new Error(`IntelligenceBank answers ${answer.status}.`);
  const { response } = await answer.json();
  element("folders").replaceChildren(
    ...response.rows.map((folder) => Object.assign(document.createElement("li"), { textContent: folder.name })),
  );
  show(`${response.count} folders.`);
}

/** A call through the gateway. A token that has ended is refreshed once; a session that is over needs a login. */
async function call(target) {
  const url = `${gateway}/proxy/${target.replace("https://", "")}`;
  const ask = () => {
    if (!tokens) throw new Error("Nobody is logged in.");
    return fetch(url, { headers: { Authorization: `Bearer ${tokens.access_token}` } });
  };
  const used = tokens;
  let answer = await ask();
  if ((await refusal(answer)) === "Invalid or expired access token") {
    // Another call may have refreshed meanwhile.
    if (tokens === used) await refresh();
    answer = await ask();
  }
  const reason = await refusal(answer);
  if (reason && answer.status === 401) forget();
  if (reason) throw new Error(`${reason}.`);
  return answer;
}

/** New tokens. Calls that come meanwhile share them: a refresh token works once. */
function refresh() {
  refreshing ??= renew().finally(() => { refreshing = undefined; });
  return refreshing;
}

async function renew() {
  const answer = await oauth.refreshTokenGrantRequest(server, client, none, tokens.refresh_token, { ...plain });
  tokens = await oauth.processRefreshTokenResponse(server, client, answer);
}

/** Why the gateway refuses; nothing for IntelligenceBank's own answers. */
async function refusal(answer) {
  if (answer.ok) return undefined;
  const body = await answer.clone().json().catch(() => ({}));
  return body.error && body.error_description;
}

async function logOut() {
  const form = new URLSearchParams({ token: tokens.refresh_token, client_id: clientId });
  const answer = await fetch(`${gateway}/logout`, { method: "POST", body: form });
  // The tokens are still good: they are kept, so that the person can try again.
  if (!answer.ok) throw new Error(`The logout was answered with ${answer.status}.`);
  forget();
  show("Nobody is logged in.");
}

function forget() {
  tokens = undefined;
  element("folders").replaceChildren();
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    // `invalid_grant` at a refresh: the grant is over.
    if (error.error === "invalid_grant") forget();
    show(error.message, "alert");
  }
}

function show(text, role = "status") {
  element("status").textContent = text;
  element("status").setAttribute("role", role);
  element("log-in").hidden = tokens !== undefined;
  element("reload").hidden = element("log-out").hidden = tokens === undefined;
}
