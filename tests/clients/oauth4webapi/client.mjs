// oauth4webapi, the strictest of the clients: it checks each answer against the RFC that it is of.

import assert from "node:assert/strict";

import * as oauth from "oauth4webapi";

import { person, setting, step } from "../steps.mjs";

const gateway = setting("GATEWAY_URL");
const issuer = new URL(gateway);
const api = new URL(`${gateway}/proxy/company.intelligencebank.com/api/3.0.0/DemoCo1/user`);
const redirect = "http://127.0.0.1:49152/callback";
const publicClient = { client_id: "mcp-public-client" };
const none = oauth.None();
const backend = { client_id: "test-backend" };
const basic = oauth.ClientSecretBasic(setting("BACKEND_SECRET"));

const challenges = await step("a call without a token is challenged (RFC 6750 section 3)", async () => {
  const answer = await fetch(api);
  assert.equal(answer.status, 401);
  return answer.headers.get("www-authenticate");
});

const resource = await step("the challenge leads to the resource's metadata (RFC 9728)", async () => {
  const [, url] = challenges.match(/resource_metadata="([^"]+)"/);
  const identifier = new URL(url.replace("/.well-known/oauth-protected-resource", ""));
  const answer = await oauth.resourceDiscoveryRequest(identifier);
  assert.equal(answer.url, url);
  return oauth.processResourceDiscoveryResponse(identifier, answer);
});

const server = await step("the server's metadata names the issuer that was asked (RFC 8414)", async () => {
  assert.deepEqual(resource.authorization_servers, [gateway]);
  const answer = await oauth.discoveryRequest(issuer, { algorithm: "oauth2" });
  return oauth.processDiscoveryResponse(issuer, answer);
});

async function logIn(client, authentication, more = {}) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: client.client_id,
    redirect_uri: redirect,
    scope: "profile",
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    ...more,
  });
  const back = await person(url);
  // `state`, and `iss`, which the metadata announces: an answer without it is refused (RFC 9207).
  const parameters = oauth.validateAuthResponse(server, client, back, state);
  const exchange = () =>
    oauth.authorizationCodeGrantRequest(
      server, client, authentication, parameters, redirect, verifier,
      { additionalParameters: more },
    );
  return { exchange, tokens: await oauth.processAuthorizationCodeResponse(server, client, await exchange()) };
}

const { tokens, exchange } = await step(
  "a public client gets tokens for a code with PKCE, state, iss and resource (RFC 7636, 9207, 8707)",
  () => logIn(publicClient, none, { resource: resource.resource }),
);

await step("the access token opens the proxied API", async () => {
  const answer = await oauth.protectedResourceRequest(
    tokens.access_token, "GET", api
  );
  assert.equal(answer.status, 200);
  assert.ok((await answer.json()).response.rows);
});

await step("userinfo answers, and its sub can be expected again (OpenID Connect's form)", async () => {
  const ask = () => oauth.userInfoRequest(server, publicClient, tokens.access_token);
  const first = await oauth.processUserInfoResponse(
    server, publicClient, oauth.skipSubjectCheck, await ask(),
  );
  await oauth.processUserInfoResponse(server, publicClient, first.sub, await ask());
});

const refreshed = await step("a refresh token is traded for a new pair (RFC 6749 section 6)", async () => {
  const answer = await oauth.refreshTokenGrantRequest(
    server, publicClient, none, tokens.refresh_token,
  );
  const next = await oauth.processRefreshTokenResponse(server, publicClient, answer);
  assert.notEqual(next.refresh_token, tokens.refresh_token);
  assert.notEqual(next.access_token, tokens.access_token);
  return next;
});

async function introspect(token) {
  const answer = await oauth.introspectionRequest(server, backend, basic, token);
  return oauth.processIntrospectionResponse(server, backend, answer);
}

await step("a confidential client introspects the token (RFC 7662)", async () => {
  const answer = await introspect(refreshed.access_token);
  assert.equal(answer.active, true);
  assert.equal(answer.client_id, publicClient.client_id);
  assert.equal(answer.iss, server.issuer);
});

async function revoke(token) {
  const answer = await oauth.revocationRequest(server, publicClient, none, token);
  await oauth.processRevocationResponse(answer);
}

await step("a revoked access token is inactive, and says nothing else (RFC 7009, RFC 7662)", async () => {
  await revoke(refreshed.access_token);
  assert.deepEqual(await introspect(refreshed.access_token), { active: false });
});

await step("the proxy refuses a revoked token with an invalid_token challenge (RFC 6750)", async () => {
  // Within a second: what has been revoked reaches the gateway by its feed.
  const deadline = Date.now() + 5_000;
  for (;;) {
    try {
      await oauth.protectedResourceRequest(
        refreshed.access_token, "GET", api
      );
    } catch (error) {
      if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
      assert.equal(error.status, 401);
      assert.equal(error.cause[0].scheme, "bearer");
      assert.equal(error.cause[0].parameters.error, "invalid_token");
      assert.ok(error.cause[0].parameters.resource_metadata);
      return;
    }
    assert.ok(Date.now() < deadline, "the token is still served");
    await new Promise((done) => setTimeout(done, 50));
  }
});

await step("a code that is used again is invalid_grant and ends its grant (RFC 6749 section 4.1.2)", async () => {
  await assert.rejects(
    async () => oauth.processAuthorizationCodeResponse(server, publicClient, await exchange()),
    (error) => error instanceof oauth.ResponseBodyError && error.error === "invalid_grant",
  );
  await assert.rejects(
    async () => {
      const answer = await oauth.refreshTokenGrantRequest(
        server, publicClient, none, refreshed.refresh_token,
      );
      await oauth.processRefreshTokenResponse(server, publicClient, answer);
    },
    (error) => error.error === "invalid_grant",
  );
});

const own = await step("a confidential client logs in with HTTP Basic and PKCE", () => logIn(backend, basic));

await step("a revoked refresh token ends its access tokens, too (RFC 7009 section 2.1)", async () => {
  assert.equal((await introspect(own.tokens.access_token)).active, true);
  const answer = await oauth.revocationRequest(server, backend, basic, own.tokens.refresh_token);
  await oauth.processRevocationResponse(answer);
  assert.deepEqual(await introspect(own.tokens.access_token), { active: false });
});

await step("a wrong client secret is invalid_client with a Basic challenge (RFC 6749 section 5.2)", async () => {
  const wrong = oauth.ClientSecretBasic("not-the-secret-of-this-client-at-all");
  const answer = await oauth.introspectionRequest(server, backend, wrong, own.tokens.access_token);
  await assert.rejects(
    () => oauth.processIntrospectionResponse(server, backend, answer),
    (error) =>
      error instanceof oauth.WWWAuthenticateChallengeError && error.cause[0].scheme === "basic",
  );
});
