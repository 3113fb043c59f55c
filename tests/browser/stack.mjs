// A stack on free ports, by the launcher that the end-to-end tests use, and the simulator's control API.

import { spawn } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect } from "node:tls";

export const PLATFORM = "company.intelligencebank.com";

/** Starts the gateway, the service and the simulator. They end with `stop`, and with this process. */
export async function startStack(options) {
  const launcher = spawn(join(process.env.IB_GATEWAY_BIN, "ib-stack"), ["supervise"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => launcher.once("exit", resolve));
  const lines = createInterface({ input: launcher.stdout })[Symbol.asyncIterator]();
  launcher.stdin.write(`${JSON.stringify({ start: options })}\n`);
  const { value } = await lines.next();
  const answer = JSON.parse(value ?? "{}");
  if (!answer.started) {
    launcher.stdin.end();
    throw new Error(`the stack does not start: ${value}`);
  }
  const { started } = answer;
  const secure = options.gateway_tls === true;
  return {
    base: `${secure ? "https" : "http"}://${started.gateway}${options.stage ?? ""}`,
    resolve: hostRules(started.simulator_tls),
    trustedKeys: await trustedKeys(started, secure),
    control: (method, path, body) => control(started.simulator_control, method, path, body),
    stop: async () => {
      launcher.stdin.end();
      await ended;
    },
  };
}

const SIMULATED = [PLATFORM, "apiv3.intelligencebank.com", "other.intelligencebank.com"];

function hostRules(address) {
  return SIMULATED.map((host) => `MAP ${host} ${address}`).join(",");
}

/** The SHA-256 of the public keys (RFC 7469 section 2.4) of all servers, each checked against its CA. */
async function trustedKeys(started, secure) {
  const servers = SIMULATED.map((name) => [started.simulator_tls, name, started.ca_pem]);
  if (secure) {
    servers.push([started.gateway, undefined, join(started.run_directory, "tls", "ca.crt")]);
  }
  const keys = await Promise.all(servers.map((server) => keyOf(...server)));
  return [...new Set(keys)].join(",");
}

function keyOf(address, servername, authority) {
  const [host, port] = address.split(":");
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), servername, ca: readFileSync(authority) }, () => {
      const certificate = new X509Certificate(socket.getPeerCertificate().raw);
      const key = certificate.publicKey.export({ type: "spki", format: "der" });
      resolve(createHash("sha256").update(key).digest("base64"));
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

/** Asks the simulator's control API (tests/README.md). */
async function control(address, method, path, body) {
  const answer = await fetch(`http://${address}${path}`, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!answer.ok) {
    throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  }
  return answer.status === 204 ? null : answer.json();
}

/** The application's end of a login: a listener at its redirect URI. */
export async function startCallback() {
  const server = createServer((request, response) => {
    // A path on which the browser stays where it is, as when an application beside the browser takes over.
    if (request.url.startsWith("/oauth/callback")) {
      response.writeHead(204).end();
      return;
    }
    const page = "<!doctype html><html lang=en><title>Application</title><link rel=icon href=data:,><h1>Application</h1>";
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    origin,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
