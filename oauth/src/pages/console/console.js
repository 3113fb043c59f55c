// The console: logs in, shows how long token and session live, and calls IntelligenceBank through the gateway.

import { Client } from "./console-oauth.js";
import { draw, facts } from "./console-plot.js";

const at = (id) => document.getElementById(id);
const page = at("console");
const client = new Client({
  issuer: page.dataset.issuer,
  clientId: page.dataset.client,
  scope: page.dataset.scope,
});
const SECOND = 1000;
const CALLS = 10;
// What a page can show at once, in characters.
const LONGEST_BODY = 100_000;
const WITH_BODY = ["POST", "PUT", "PATCH"];
// Methods that change nothing (RFC 9110 section 9.2.1) may be sent ten times by one click.
const SAFE = ["GET", "HEAD"];
let tokens = null;
let killed = false;
let sessionIsOver = false;
// One thing at a time: two refreshes at once would spend the same token.
let busy = false;

const examples = (id) => [
  { name: "Folders, the first ten", path: `/api/3.0.0/${id}/folder.limit(0,10)?verbose` },
  { name: "Resources, newest first", path: `/api/3.0.0/${id}/resource.limit(0,10).order(createTime:-1)?verbose` },
  { name: "Users", path: `/api/3.0.0/${id}/user` },
  {
    name: "Change a resource",
    method: "PUT",
    path: `/api/3.0.0/${id}/resource/4e50000000000000000000000000001`,
    body: { data: { name: "A better name" } },
  },
  {
    name: "The tunnel of the v3 API",
    method: "POST",
    path: "/api/json",
    body: { method: "GET", version: "3.0.0", client: id, table: "resource.limit(0,5)", query_params: {} },
  },
  { name: "Something that is not there", path: `/api/3.0.0/${id}/resource/missing?verbose` },
];

const happened = (text, isProblem = false) => {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString();
  item.append(time, ` ${text}`);
  item.className = isProblem ? "bad" : "";
  at("events").prepend(item);
};

const problem = (text) => {
  at("problem").textContent = text;
};

const clock = (milliseconds) => {
  const seconds = Math.max(0, Math.ceil(milliseconds / SECOND));
  const two = (number) => String(number).padStart(2, "0");
  const minutes = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return `${Math.floor(seconds / 3600)}:${minutes}`;
};

const tick = () => {
  if (!tokens) {
    return;
  }
  const now = Date.now();
  const life = (name, begins, ends) => {
    at(`${name}-clock`).textContent = ends > now ? `${clock(ends - now)} left` : "over";
    at(`${name}-meter`).value = Math.max(0, ends - now) / Math.max(1, ends - begins);
  };
  life("token", tokens.received, tokens.ends);
  life("session", tokens.sidCreatedAt * SECOND, sessionIsOver ? 0 : tokens.sidExpiry * SECOND);
};

const show = () => {
  const isLoggedIn = tokens !== null;
  at("logged-in").hidden = !isLoggedIn;
  at("logged-out").hidden = isLoggedIn;
  at("log-in").hidden = isLoggedIn;
  at("log-out").hidden = !isLoggedIn;
  if (!isLoggedIn) {
    at("who").textContent = "Nobody is logged in.";
    return;
  }
  const when = (seconds) => new Date(seconds * SECOND).toLocaleString();
  at("token-facts").textContent = `Scope ${tokens.scope}; lives ${Math.round(tokens.expires_in / 60)} minutes`;
  at("session-facts").textContent = `Began ${when(tokens.sidCreatedAt)}, ends ${when(tokens.sidExpiry)}`;
  tick();
};

const fitToMethod = () => {
  const method = at("method").value;
  at("body-part").hidden = !WITH_BODY.includes(method);
  at("ten").disabled = !SAFE.includes(method);
  at("ten-hint").hidden = SAFE.includes(method);
};

const choose = (example) => {
  at("method").value = example.method ?? "GET";
  at("path").value = example.path;
  at("body").value = example.body ? JSON.stringify(example.body, null, 2) : "";
  fitToMethod();
};

const offer = () => {
  const hosts = [tokens.apiV3url, tokens.platform_url].filter(Boolean).map((url) => new URL(url).host);
  const options = (id, names) => at(id).replaceChildren(...names.map((name, index) => new Option(name, index)));
  at("host").replaceChildren(...[...new Set(hosts)].map((host) => new Option(host)));
  const list = examples(tokens.clientid ?? "CLIENT");
  options("example", list.map(({ name }) => name));
  at("example").onchange = () => choose(list[Number(at("example").value)]);
  choose(list[0]);
};

// Does one thing, says what went wrong with it, and keeps the buttons still meanwhile.
const once = async (work) => {
  if (busy) {
    return;
  }
  busy = true;
  page.setAttribute("aria-busy", "true");
  problem("");
  try {
    await work();
  } catch (error) {
    problem(`${error.message}.`);
    happened(error.message, true);
  }
  busy = false;
  page.removeAttribute("aria-busy");
};

const refresh = async () => {
  const before = tokens;
  tokens = await client.refresh(before);
  sessionIsOver = false;
  happened("The token was refreshed.");
  if (tokens.sidCreatedAt !== before.sidCreatedAt) {
    const time = (seconds) => new Date(seconds * SECOND).toLocaleTimeString();
    happened(`The session was renewed: it began at ${time(tokens.sidCreatedAt)}, the one before it at ${time(before.sidCreatedAt)}.`);
  }
  show();
};

// Calls through the gateway, and measures until the last byte is there.
const call = async ({ method, host, path, body }) => {
  const url = `${page.dataset.proxy}${host}${path}`;
  const headers = { authorization: `Bearer ${tokens.access_token}` };
  if (body !== undefined) {
    headers["content-type"] = "application/json";
  }
  const begun = performance.now();
  const answer = await fetch(url, { method, headers, body, cache: "no-store" });
  const bytes = await answer.arrayBuffer();
  const milliseconds = performance.now() - begun;
  return { url, answer, bytes, milliseconds, status: answer.status };
};

const asked = () => {
  const method = at("method").value;
  const body = WITH_BODY.includes(method) ? at("body").value : undefined;
  return { method, host: at("host").value, path: at("path").value, body };
};

const readable = (answer, bytes) => {
  const type = answer.headers.get("content-type") ?? "";
  if (bytes.byteLength === 0) {
    return "(no body)";
  }
  if (!/json|text|xml|javascript/.test(type)) {
    return `(${bytes.byteLength} bytes of ${type || "an unknown type"})`;
  }
  let text = new TextDecoder().decode(bytes);
  try {
    text = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // As it came, then.
  }
  return text.length > LONGEST_BODY ? `${text.slice(0, LONGEST_BODY)}\n(cut here)` : text;
};

const showCall = (request, { url, answer, bytes, milliseconds }) => {
  const sent = [`${request.method} ${url}`, "Authorization: Bearer (the access token)"];
  if (request.body !== undefined) {
    sent.push("Content-Type: application/json", "", request.body);
  }
  at("sent").textContent = sent.join("\n");
  const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`);
  at("received").textContent = [...headers, "", readable(answer, bytes)].join("\n");
  at("answer-status").textContent =
    `${answer.status} ${answer.statusText || ""}`.trim() + `, ${Math.round(milliseconds)} ms, ${bytes.byteLength} bytes`;
};

// After a kill, the first call that succeeds shows that the gateway has renewed the session.
const notice = async ({ status, milliseconds, answer, bytes }) => {
  if (killed && status < 400) {
    killed = false;
    happened(`The call was answered ${status} in ${Math.round(milliseconds)} ms, though the session had been killed.`);
    await refresh();
  } else if (status === 401) {
    const said = readable(answer, bytes);
    const description = /"error_description": "([^"]*)"/.exec(said)?.[1] ?? "The call was refused (401)";
    sessionIsOver = description.startsWith("Session");
    happened(`${description}.`, true);
    problem(`${description}. ${sessionIsOver ? "Log out, and log in again." : "Refresh the token."}`);
    tick();
  }
};

at("log-in").addEventListener("click", () => once(() => client.logIn()));

at("log-out").addEventListener("click", () =>
  once(async () => {
    await client.logOut(tokens);
    tokens = null;
    killed = false;
    sessionIsOver = false;
    show();
    at("log-in").focus();
  }),
);

at("refresh").addEventListener("click", () => once(refresh));

at("method").addEventListener("change", fitToMethod);

at("request").addEventListener("submit", (event) => {
  event.preventDefault();
  once(async () => {
    const request = asked();
    const done = await call(request);
    showCall(request, done);
    happened(`${request.method} ${request.path}: ${done.status} in ${Math.round(done.milliseconds)} ms.`, done.status >= 400);
    await notice(done);
  });
});

at("ten").addEventListener("click", () =>
  once(async () => {
    if (!at("request").reportValidity()) {
      return;
    }
    const request = asked();
    const calls = [];
    at("calls").hidden = false;
    for (let number = 1; number <= CALLS; number += 1) {
      const done = await call(request);
      calls.push(done);
      at("plot").replaceChildren(draw(calls, CALLS));
      at("answer-status").textContent = `Call ${number} of ${CALLS}: ${done.status}`;
      showCall(request, done);
      await notice(done);
    }
    at("calls-facts").textContent = `${facts(calls)}. Milliseconds above, status below each bar.`;
    happened(`${facts(calls)}.`);
  }),
);

// Development alone: the simulated platform ends the session that the gateway sends along.
at("kill")?.addEventListener("submit", (event) => {
  event.preventDefault();
  once(async () => {
    const host = new URL(tokens.platform_url).host;
    const path = `/simulator/session?then=${at("then").value}`;
    const { status } = await call({ method: "DELETE", host, path });
    if (status !== 204) {
      throw new Error(`The platform did not end the session (${status})`);
    }
    killed = true;
    happened("The platform ended the session. The next call will meet that.");
  });
});

setInterval(tick, SECOND);

await once(async () => {
  if (location.origin !== new URL(client.issuer).origin) {
    throw new Error(`Open this page at ${client.issuer}/console`);
  }
  at("log-in").disabled = false;
  tokens = await client.finish();
  show();
  if (tokens) {
    // The tokens are there, whatever becomes of the question who it is.
    const { host } = new URL(tokens.platform_url);
    at("who").textContent = `Logged in at ${host}`;
    offer();
    happened("Logged in.");
    const person = await client.person(tokens);
    at("who").textContent = `${person.name ?? person.sub} at ${host}`;
    at("person").textContent = JSON.stringify(person, null, 2);
  }
});
