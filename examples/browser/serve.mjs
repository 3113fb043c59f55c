// Serves the application's files on loopback: any server for files does, if it sends these headers.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const gateway = process.env.IB_GATEWAY ?? "http://127.0.0.1:8080";
const clientId = process.env.CLIENT_ID ?? "mcp-public-client";
const port = Number(process.env.PORT ?? 5173);

const file = (name) => () => readFile(fileURLToPath(import.meta.resolve(name)));
const page = ["text/html; charset=utf-8", file("./index.html")];
const routes = {
  "/": page,
  "/callback": page,
  "/app.js": ["text/javascript", file("./app.js")],
  "/style.css": ["text/css", file("./style.css")],
  "/oauth4webapi.js": ["text/javascript", file("oauth4webapi")],
  "/settings.json": ["application/json", async () => JSON.stringify({ gateway, clientId })],
};

const server = createServer(async (request, response) => {
  const route = routes[new URL(request.url, "http://127.0.0.1").pathname];
  if (!route) return response.writeHead(404).end();
  const [type, content] = route;
  const headers = {
    "Content-Type": type,
    "Cache-Control": "no-store",
    // Scripts of this origin alone, and connections to the gateway alone: what would steal a token cannot run.
    "Content-Security-Policy": `default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ${gateway}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
  };
  response.writeHead(200, headers).end(await content());
});
server.listen(port, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/`);
});
