// The console in a real Chromium, as `make up` serves it.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { look, startBrowser, startContext } from "./browser.mjs";
import { logIn, openPlatform } from "./person.mjs";
import { keepPicture } from "./pictures.mjs";
import { PLATFORM, startStack } from "./stack.mjs";

let stack, browser, context, wrong, page;

before(async () => {
  stack = await startStack({});
  browser = await startBrowser(stack);
});
after(async () => {
  await browser?.close();
  await stack?.stop();
});
beforeEach(async () => {
  ({ context, wrong } = await startContext(browser));
  page = await context.newPage();
});
afterEach(async () => {
  await context.close();
  await stack.control("PUT", "/settings", { renewal: "same" });
  assert.deepEqual(wrong, []);
});

const button = (name) => page.getByRole("button", { name, exact: true });
const event = (words) => page.locator("#events li").filter({ hasText: words });
const received = () => page.locator("#received");
const status = () => page.locator("#answer-status");

/** Logs ada in, by the console's button and the login page. */
async function logInToConsole() {
  await page.goto(`${stack.base}/console`);
  await button("Log in").click();
  await page.getByLabel("Your platform").fill("company");
  await button("Continue").click();
  await logIn(await openPlatform(page));
  await page.getByText(`Ada Lovelace at ${PLATFORM}`).waitFor();
}

/** Numbers of the requests at the simulator, with a path that begins so. */
async function received_at(path, since = 0) {
  const { requests } = await stack.control("GET", `/requests?since=${since}`);
  return requests.filter((request) => request.raw_path.startsWith(path));
}

async function last() {
  return (await stack.control("GET", "/requests?since=0")).last;
}

test("a person logs in, sees both clocks run, and a call with its answer", async () => {
  await logInToConsole();
  assert.equal(new URL(page.url()).search, "", "no code stays in the address");
  const clock = page.locator("#token-clock");
  const [seen, session] = [await clock.textContent(), await page.locator("#session-clock").textContent()];
  assert.match(seen, /^(1:00:00|0:59:[0-5]\d) left$/);
  assert.match(session, /^(24:00:00|23:59:[0-5]\d) left$/);
  await page.waitForFunction((old) => document.getElementById("token-clock").textContent !== old, seen);
  await button("Send").click();
  await status().filter({ hasText: "200 OK" }).waitFor();
  assert.match(await received().textContent(), /"name": "Folder 1"/);
  const sent = await page.locator("#sent").textContent();
  assert.match(sent, /^GET http:\/\/127\.0\.0\.1:\d+\/proxy\/apiv3\.intelligencebank\.com\/api\/3\.0\.0\/DemoCo1\/folder/);
  assert.ok(!sent.includes("ibg_"), "no token is shown");
  await page.getByText("Who logged in").click();
  assert.match(await page.locator("#person").textContent(), /"family_name": "Lovelace"/);
});

test("a change with a body arrives as it was typed, and an error of the platform is shown as it is", async () => {
  await logInToConsole();
  const since = await last();
  await page.getByLabel("Example").selectOption({ label: "Change a resource" });
  await page.getByLabel("Body (JSON)").fill('{"data":{"name":"typed"}}');
  await page.getByLabel("Host").selectOption(PLATFORM);
  await button("Send").click();
  await status().filter({ hasText: "200" }).waitFor();
  const [request] = await received_at("/api/3.0.0/DemoCo1/resource/", since);
  assert.deepEqual([request.method, request.host, request.body_length], ["PUT", PLATFORM, 25]);
  await page.getByLabel("Example").selectOption({ label: "Something that is not there" });
  await button("Send").click();
  await status().filter({ hasText: "404" }).waitFor();
  assert.match(await received().textContent(), /Not Found/);
});

test("ten calls in a row are ten calls, and ten bars with their times", async () => {
  await logInToConsole();
  const since = await last();
  await button("Ten calls in a row").click();
  await event("10 calls:").waitFor();
  assert.match(await event("10 calls:").textContent(), /10 calls: \d+ to \d+ ms, median \d+ ms; all succeeded/);
  assert.equal(await page.locator("#plot .bar").count(), 10);
  assert.equal((await received_at("/api/3.0.0/DemoCo1/folder", since)).length, 10);
  assert.match(await page.getByRole("img").getAttribute("aria-label"), /^10 calls/);
});

test("a killed session is renewed under the next call, which succeeds, and the console says so", async () => {
  await logInToConsole();
  await button("Send").click();
  await status().filter({ hasText: "200" }).waitFor();
  const since = await last();
  await button("Kill the session").click();
  await event("The platform ended the session").waitFor();
  await button("Send").click();
  await event("though the session had been killed").waitFor();
  await event("The session was renewed").waitFor();
  await status().filter({ hasText: "200" }).waitFor();
  // The platform has seen it: the call with the dead session, the reading of a new one, and the call again.
  const calls = await received_at("/api/3.0.0/DemoCo1/folder", since);
  assert.equal(calls.length, 2);
  assert.notEqual(calls[0].headers.sid, calls[1].headers.sid);
});

test("a session that cannot be renewed is over, and the console says what to do", async () => {
  await logInToConsole();
  await page.getByLabel("Then the platform gives").selectOption("nothing any more");
  await button("Kill the session").click();
  await event("The platform ended the session").waitFor();
  await button("Send").click();
  await page.getByRole("alert").filter({ hasText: "Session has expired. Log out, and log in again." }).waitFor();
  assert.match(await status().textContent(), /^401/);
  assert.equal(await page.locator("#session-clock").textContent(), "over");
});

test("a session that was over and came back by a refresh is shown with its clock", async () => {
  await logInToConsole();
  const over = { error: "invalid_token", error_description: "Session has expired" };
  await page.route("**/proxy/**", (route) => route.fulfill({ status: 401, json: over }));
  await button("Send").click();
  await page.locator("#session-clock").filter({ hasText: "over" }).waitFor();
  await button("Refresh the token").click();
  await page.locator("#session-clock").filter({ hasText: "left" }).waitFor();
});

test("a refresh brings a new token, and after the logout both are worth nothing", async () => {
  await logInToConsole();
  const used = [];
  page.on("request", async (request) => {
    used.push((await request.allHeaders()).authorization);
  });
  await button("Send").click();
  await status().filter({ hasText: "200" }).waitFor();
  await button("Refresh the token").click();
  await event("The token was refreshed").waitFor();
  await button("Send").click();
  await page.waitForFunction(() => document.querySelectorAll("#events li").length === 4);
  const tokens = [...new Set(used.filter(Boolean))];
  assert.equal(tokens.length, 2);
  await button("Log out").click();
  await page.getByText("Nobody is logged in.").waitFor();
  for (const authorization of tokens) {
    const answer = await context.request.get(`${stack.base}/userinfo`, { headers: { authorization } });
    assert.equal(answer.status(), 401);
  }
});

test("log out ends the grant also when the access token is over", async () => {
  await page.goto(`${stack.base}/console`);
  const redeemed = page.waitForResponse("**/token").then((answer) => answer.json());
  await logInToConsole();
  const { access_token, refresh_token } = await redeemed;
  const as_console = { client_id: "gateway-console" };
  const revoked = await context.request.post(`${stack.base}/revoke`, { form: { ...as_console, token: access_token } });
  assert.equal(revoked.status(), 200);
  await button("Log out").click();
  await page.getByText("Nobody is logged in.").waitFor();
  const form = { ...as_console, grant_type: "refresh_token", refresh_token };
  const refreshed = await context.request.post(`${stack.base}/token`, { form });
  assert.equal((await refreshed.json()).error, "invalid_grant");
});

test("a logout that fails is said in words, and the person is not told that they are out", async () => {
  await logInToConsole();
  await page.route("**/logout", (route) => route.fulfill({ status: 503, body: "no JSON" }));
  await button("Log out").click();
  await page.getByRole("alert").filter({ hasText: "The logout failed (503)" }).waitFor();
  assert.ok(await page.getByText(`Ada Lovelace at ${PLATFORM}`).isVisible());
  await page.unroute("**/logout");
  await button("Log out").click();
  await page.getByText("Nobody is logged in.").waitFor();
});

test("one click sends no change ten times", async () => {
  await logInToConsole();
  assert.ok(await button("Ten calls in a row").isEnabled());
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    await page.getByLabel("Method").selectOption(method);
    assert.ok(await button("Ten calls in a row").isDisabled(), method);
  }
  await page.getByText("Ten calls in a row are for GET and HEAD alone").waitFor();
  await page.getByLabel("Method").selectOption("HEAD");
  assert.ok(await button("Ten calls in a row").isEnabled());
  await page.getByLabel("Example").selectOption({ label: "Change a resource" });
  assert.ok(await button("Ten calls in a row").isDisabled(), "an example chooses a method too");
});

test("a person whose name cannot be asked for is still logged in, and the page says only that", async () => {
  await page.route("**/userinfo", (route) =>
    route.fulfill({ status: 503, json: { error: "temporarily_unavailable", error_description: "Later" } }),
  );
  await page.goto(`${stack.base}/console`);
  await button("Log in").click();
  await page.getByLabel("Your platform").fill("company");
  await button("Continue").click();
  await logIn(await openPlatform(page));
  await page.getByRole("alert").filter({ hasText: "Later" }).waitFor();
  await page.getByText(`Logged in at ${PLATFORM}`).waitFor();
  await button("Send").click();
  await status().filter({ hasText: "200 OK" }).waitFor();
});

test("nothing of a login is left in the browser's storage, and a reload forgets the tokens", async () => {
  await logInToConsole();
  const kept = await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie]));
  assert.equal(kept, '[{},{},""]');
  await page.reload();
  await page.getByText("Nobody is logged in.").waitFor();
});

test("a return that this tab did not ask for is refused", async () => {
  await page.goto(`${stack.base}/console?code=stolen&state=forged&iss=${encodeURIComponent(stack.base)}`);
  await page.getByRole("alert").filter({ hasText: "not begun in this tab" }).waitFor();
  assert.equal(new URL(page.url()).search, "");
  await button("Log in").waitFor();
});

test("under another name of the gateway the console says where it is at home", async () => {
  await page.goto(`${stack.base.replace("127.0.0.1", "localhost")}/console`);
  await page.getByRole("alert").filter({ hasText: `Open this page at ${stack.base}/console` }).waitFor();
  assert.ok(await button("Log in").isDisabled());
});

test("what an answer holds is text, whatever it looks like", async () => {
  await logInToConsole();
  const hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>";
  await stack.control("PUT", "/settings", {
    answers: [{ path_prefix: "/api/", count: 1, headers: [["content-type", "text/html"]], body: hostile }],
  });
  await button("Send").click();
  await received().filter({ hasText: hostile }).waitFor();
  assert.equal(await page.locator("#received *").count(), 0);
});

test("under a stage the console works likewise", async () => {
  const own = stack;
  stack = await startStack({ stage: "/dev" });
  try {
    // Its simulator has keys and places of its own.
    const other = await startBrowser(stack);
    await context.close();
    ({ context, wrong } = await startContext(other));
    page = await context.newPage();
    await logInToConsole();
    await button("Send").click();
    await status().filter({ hasText: "200 OK" }).waitFor();
    assert.match(await page.locator("#sent").textContent(), /^GET http:\/\/127\.0\.0\.1:\d+\/dev\/proxy\//);
    await other.close();
  } finally {
    await stack.stop();
    stack = own;
  }
});

test("the console is accessible in every state, at any width, light and dark", async () => {
  const picture = keepPicture(page);
  await page.goto(`${stack.base}/console`);
  await button("Log in").waitFor();
  await look(page, "console-logged-out", picture);
  await logInToConsole();
  await look(page, "console-logged-in", picture);
  await button("Kill the session").click();
  await event("The platform ended the session").waitFor();
  await button("Send").click();
  await event("The session was renewed").waitFor();
  await button("Ten calls in a row").click();
  await event("10 calls:").waitFor();
  await look(page, "console-calls", picture);
  await page.getByLabel("Example").selectOption({ label: "Change a resource" });
  await page.getByLabel("Then the platform gives").selectOption("nothing any more");
  await button("Kill the session").click();
  await event("The platform ended the session").nth(1).waitFor();
  await button("Send").click();
  await page.getByRole("alert").filter({ hasText: "Session has expired" }).waitFor();
  await look(page, "console-over", picture);
});
