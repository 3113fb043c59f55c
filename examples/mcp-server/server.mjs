// An MCP server with one tool, list_folders. The gateway is its authorization server and its way to
// IntelligenceBank.

import { readFileSync } from "node:fs";

import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import {
  getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter,
} from "@modelcontextprotocol/sdk/server/auth/router.js";
import { createMcpExpressApp } from "@modelcontextprotocol/sdk/server/express.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";

import { Gateway } from "./gateway.mjs";
import { Grants, LinkNeeded } from "./grants.mjs";

const setting = (name, otherwise) => process.env[name] ?? otherwise;
const port = Number(setting("PORT", "8090"));
// What clients ask tokens for (RFC 8707); the operator lists it in `additional_resources`.
const resource = new URL(setting("RESOURCE", `http://127.0.0.1:${port}/mcp`));
const secret = readFileSync(setting("CLIENT_SECRET_FILE", "../../target/run/secrets/example-mcp-server"), "utf8");
const gateway = await Gateway.discover(
  setting("IB_GATEWAY", "http://127.0.0.1:8080"), setting("CLIENT_ID", "example-mcp-server"), secret.trim(),
);
// Nothing listens there: the code comes by the poll.
const grants = new Grants(gateway, `http://127.0.0.1:${port}/callback`);

const app = createMcpExpressApp();
// Where clients find the gateway (RFC 9728).
app.use(mcpAuthMetadataRouter({
  oauthMetadata: gateway.metadata, resourceServerUrl: resource, scopesSupported: ["profile"],
}));
app.use(resource.pathname, requireBearerAuth({
  verifier: gateway,
  requiredScopes: ["profile"],
  expectedResource: resource,
  resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resource),
}));

// Without sessions: a server for each request.
app.post(resource.pathname, async (request, response) => {
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  response.on("close", () => transport.close());
  await tools(request.auth.extra).connect(transport);
  await transport.handleRequest(request, response, request.body);
});
app.all(resource.pathname, (_request, response) => {
  response.status(405).set("Allow", "POST").end();
});

function tools(person) {
  const server = new McpServer({ name: "intelligencebank-folders", version: "0.0.0" });
  const description = "Lists the folders of IntelligenceBank that the person may see";
  server.registerTool("list_folders", { description }, async () => {
    try {
      const answer = await grants.call(person, "folder.limit(0,100)?verbose");
      const text = await answer.text();
      if (!answer.ok) return say(`IntelligenceBank answers ${answer.status}: ${text}`, true);
      return say(JSON.parse(text).response.rows.map((folder) => folder.name).join("\n"));
    } catch (error) {
      if (error instanceof LinkNeeded) return say(error.message, true);
      throw error;
    }
  });
  return server;
}

const say = (text, isError = false) => ({ content: [{ type: "text", text }], isError });

app.listen(port, "127.0.0.1", () => console.log(`${resource}`));
