// The SDK of the Model Context Protocol: its transport meets a 401 at the proxy and finds everything else
// from there. An MCP server stands behind the gateway, played by the simulator.

import assert from "node:assert/strict";

import { auth, UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { person, setting, step } from "../steps.mjs";

const gateway = setting("GATEWAY_URL");
const server = new URL(`${gateway}/proxy/company.intelligencebank.com/mcp`);

/** What an application gives to the SDK: it keeps what it is told, in memory. */
class Provider {
  redirectUrl = "http://localhost:49152/oauth/callback";
  clientMetadata = { client_name: "Test", redirect_uris: [this.redirectUrl], scope: "profile" };
  sent = undefined;
  kept = undefined;
  verifier = undefined;

  state() {
    return "a state of the client's own";
  }
  clientInformation() {
    return { client_id: "mcp-public-client" };
  }
  tokens() {
    return this.kept;
  }
  saveTokens(tokens) {
    this.kept = tokens;
  }
  redirectToAuthorization(url) {
    this.sent = url;
  }
  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }
  codeVerifier() {
    return this.verifier;
  }
}

/** Has the simulator answer as an MCP server does, once: to `initialize`, `initialized` and the stream. */
async function serve() {
  const answer = (status, headers, body) => ({
    host: "company.intelligencebank.com", path_prefix: "/mcp", count: 1, status, headers, body,
  });
  const initialized = {
    jsonrpc: "2.0",
    id: 0,
    result: {
      protocolVersion: "2025-06-18",
      capabilities: {},
      serverInfo: { name: "simulated", version: "1" },
    },
  };
  const answered = await fetch(`http://${setting("SIMULATOR_CONTROL")}/settings`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      answers: [
        answer(200, [["content-type", "application/json"]], JSON.stringify(initialized)),
        answer(202, [], ""),
        answer(405, [], ""),
      ],
    }),
  });
  assert.equal(answered.status, 200);
}

const provider = new Provider();

await step("a 401 at the proxy leads to an authorization request with PKCE and resource", async () => {
  const transport = new StreamableHTTPClientTransport(server, { authProvider: provider });
  const client = new Client({ name: "test", version: "1" });
  await assert.rejects(() => client.connect(transport), UnauthorizedError);
  const asked = provider.sent.searchParams;
  assert.equal(provider.sent.origin, gateway);
  assert.equal(asked.get("resource"), `${gateway}/proxy/`);
  assert.equal(asked.get("code_challenge_method"), "S256");
});

const back = await step("a person logs in and returns with a code, the state and the issuer", async () => {
  const url = await person(provider.sent);
  assert.equal(url.searchParams.get("state"), provider.state());
  assert.equal(url.searchParams.get("iss"), gateway);
  return url;
});

await step("the SDK finishes with the code and connects to the MCP server behind the gateway", async () => {
  const transport = new StreamableHTTPClientTransport(server, { authProvider: provider });
  await transport.finishAuth(back.searchParams.get("code"));
  assert.ok(provider.kept.access_token && provider.kept.refresh_token);
  await serve();
  const client = new Client({ name: "test", version: "1" });
  await client.connect(transport);
  assert.equal(client.getServerVersion().name, "simulated");
  await client.close();
});

await step("the SDK refreshes by itself when it has a refresh token", async () => {
  const before = provider.kept;
  assert.equal(await auth(provider, { serverUrl: server }), "AUTHORIZED");
  assert.notEqual(provider.kept.access_token, before.access_token);
  assert.notEqual(provider.kept.refresh_token, before.refresh_token);
});

await step("with an access token that has ended the SDK refreshes within the call", async () => {
  const before = provider.kept;
  const revoked = await fetch(`${gateway}/revoke`, {
    method: "POST",
    body: new URLSearchParams({ token: before.access_token, client_id: "mcp-public-client" }),
  });
  assert.equal(revoked.status, 200);
  await serve();
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(server, { authProvider: provider }));
  assert.notEqual(provider.kept.access_token, before.access_token);
  await client.close();
});

await step("with a refresh token that is worth nothing the SDK asks the person again", async () => {
  provider.kept = { ...provider.kept, refresh_token: "no-such-token" };
  provider.sent = undefined;
  // The SDK understands `invalid_grant`, forgets the tokens and begins anew.
  provider.invalidateCredentials = (what) => {
    assert.equal(what, "tokens");
    provider.kept = undefined;
  };
  assert.equal(await auth(provider, { serverUrl: server }), "REDIRECT");
  assert.equal(provider.sent.origin, gateway);
});
