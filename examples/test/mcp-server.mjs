// examples/mcp-server as an MCP client meets it: the SDK's own client and OAuth.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { start, step } from "./steps.mjs";

const { IB_GATEWAY: gateway, SIMULATOR_CONTROL, MCP_PORT, PERSON } = process.env;
const url = new URL(await start("mcp-server", "server.mjs", MCP_PORT));

/** What an application gives to the SDK: it keeps what it is told, in memory. */
class Provider {
  redirectUrl = "http://localhost:49152/oauth/callback";
  clientMetadata = { client_name: "Test", redirect_uris: [this.redirectUrl], scope: "profile" };
  kept = undefined;

  clientInformation = () => ({ client_id: "mcp-public-client" });
  tokens = () => this.kept;
  saveTokens = (tokens) => { this.kept = tokens; };
  redirectToAuthorization = (page) => { this.page = page; };
  saveCodeVerifier = (verifier) => { this.verifier = verifier; };
  codeVerifier = () => this.verifier;
}

const provider = new Provider();
const connect = async () => {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(url, { authProvider: provider }));
  return client;
};

await step("without a token the client is led to the gateway, for a token of this server", async () => {
  await assert.rejects(connect, UnauthorizedError);
  assert.equal(provider.page.origin, gateway);
  assert.equal(provider.page.searchParams.get("resource"), url.href);
});

const client = await step("a person logs in, and the client connects", async () => {
  const { stdout } = await promisify(execFile)("python3", [PERSON, provider.page.href]);
  const transport = new StreamableHTTPClientTransport(url, { authProvider: provider });
  await transport.finishAuth(new URL(stdout.trim()).searchParams.get("code"));
  return connect();
});

/** Calls the tool, and gives the words of its answer. */
async function listFolders() {
  const { content: [{ text }], isError } = await client.callTool({ name: "list_folders", arguments: {} });
  return { text, isError: Boolean(isError) };
}

/** Logs somebody in at the page that an answer names. */
async function open({ text, isError }, user) {
  assert.equal(isError, true, text);
  const link = new URL(text.match(/https:\/\/company\.intelligencebank\.com\/\S+/)[0]);
  const answer = await fetch(`http://${SIMULATOR_CONTROL}/logins/${link.searchParams.get("token")}/complete`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user }),
  });
  assert.equal(answer.status, 200);
}

/** Calls the tool until its answer is not that the login is unfinished. */
async function afterLogin() {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const answer = await listFolders();
    if (!answer.text.startsWith("Your login is not finished.")) return answer;
    assert.ok(Date.now() < deadline, "the login was not seen in time");
    await new Promise((done) => setTimeout(done, 200));
  }
}

await step("the first call asks the person for a link, and somebody else's login is not taken", async () => {
  const [first, second] = await Promise.all([listFolders(), listFolders()]);
  assert.equal(first.text, second.text, "two calls at once are given two links");
  await open(first, "grace");
  const answer = await afterLogin();
  assert.match(answer.text, /^Somebody else has logged in\./);
  await open(answer, "ada");
});

await step("after the person's own login the tool lists the folders through the proxy", async () => {
  const { text, isError } = await afterLogin();
  assert.equal(isError, false, text);
  assert.ok(text.startsWith("Folder 1\nFolder 2\n"), text);
});

await step("the client's token does not open the proxy, nor a token of the proxy the server", async () => {
  const call = (target, token) => fetch(target, {
    method: target === url ? "POST" : "GET", headers: { Authorization: `Bearer ${token}` },
  });
  const proxied = `${gateway}/proxy/apiv3.intelligencebank.com/api/3.0.0/DemoCo1/user`;
  assert.equal((await call(proxied, provider.kept.access_token)).status, 401);
  const { stdout } = await promisify(execFile)("python3", [PERSON.replace(/tests.*/, "scripts/demo-login.py")]);
  const { access_token: other } = JSON.parse(stdout);
  assert.equal((await call(proxied, other)).status, 200);
  const refused = await call(url, other);
  assert.equal(refused.status, 401);
  assert.match(refused.headers.get("www-authenticate"), /Token was not issued for this resource/);
});

await step("when the session ends the person is asked again", async () => {
  const simulator = `http://${SIMULATOR_CONTROL}`;
  const { requests } = await (await fetch(`${simulator}/requests`)).json();
  for (const sid of new Set(requests.map((request) => request.headers.sid).filter(Boolean))) {
    await fetch(`${simulator}/sessions/${sid}/kill`, { method: "POST" });
  }
  const answers = await Promise.all([listFolders(), listFolders()]);
  for (const { text, isError } of answers) {
    assert.equal(isError, true);
    assert.match(text, /^Your login at IntelligenceBank has ended\./);
  }
  assert.equal(answers[0].text, answers[1].text, "two calls at once are given two links");
});

process.exit(0);
