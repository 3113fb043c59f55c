// examples/browser in a real Chromium: a person logs in by the gateway's page and the platform's window.

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

import { start, step } from "./steps.mjs";

const page_url = await start("browser", "serve.mjs", 0);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  // CI runs as root, where Chromium has no sandbox.
  args: ["--no-sandbox", `--host-resolver-rules=MAP *.intelligencebank.com ${process.env.SIMULATOR}`],
});
// The simulator's certificate is of an authority of its own.
const context = await browser.newContext({ ignoreHTTPSErrors: true });
context.setDefaultTimeout(20_000);
const page = await context.newPage();
const wrong = [];
page.on("pageerror", (error) => wrong.push(error.message));
page.on("console", (message) => /Content.Security.Policy|CORS/i.test(message.text()) && wrong.push(message.text()));
const status = page.locator("#status");
const until = (text) => status.filter({ hasText: text }).waitFor();

/** From the application to the platform's window and back. */
async function logIn() {
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByLabel("Your platform").fill("company.intelligencebank.com");
  await page.getByRole("button", { name: "Continue" }).click();
  const opened = context.waitForEvent("page");
  await page.getByRole("link", { name: "Open IntelligenceBank" }).click();
  const platform = await opened;
  await platform.getByLabel("Demo user").selectOption("ada");
  await platform.getByRole("button", { name: "Log in" }).click();
  await until("12 folders.");
}

await step("a person logs in by code and PKCE, and the page lists folders across origins", async () => {
  await page.goto(page_url);
  await until("Nobody is logged in.");
  await logIn();
  assert.deepEqual((await page.getByRole("listitem").allTextContents()).slice(0, 2), ["Folder 1", "Folder 2"]);
});

await step("no code is left in the address, and no token in what the browser stores", async () => {
  assert.equal(page.url(), page_url);
  assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
});

await step("a token that has ended is refreshed once for two calls, without the person", async () => {
  let ended = 0, refreshed = 0, loaded = 0;
  const both = new Promise((done) => page.on("response", (answer) => {
    if (answer.url().endsWith("/token")) refreshed += 1;
    const folders = answer.url().includes("/proxy/") && answer.request().method() === "GET" && answer.ok();
    if (folders && ++loaded === 2) done();
  }));
  // The page's token stays its own, so the call is sent with another one.
  await page.route("**/proxy/**", async (route) => {
    ended += 1;
    await route.continue({ headers: { ...route.request().headers(), authorization: "Bearer one-that-has-ended" } });
  }, { times: 2 });
  await page.getByRole("button", { name: "Load again" }).evaluate((button) => {
    button.click();
    button.click();
  });
  await both;
  await until("12 folders.");
  assert.deepEqual({ ended, refreshed }, { ended: 2, refreshed: 1 });
});

await step("a session that is over asks for a login, and a login mends it", async () => {
  const simulator = `http://${process.env.SIMULATOR_CONTROL}`;
  const { requests } = await (await fetch(`${simulator}/requests`)).json();
  const sid = requests.map((request) => request.headers.sid).filter(Boolean).at(-1);
  assert.equal((await fetch(`${simulator}/sessions/${sid}/kill`, { method: "POST" })).status, 204);
  await page.getByRole("button", { name: "Load again" }).click();
  await until("Session has expired.");
  await logIn();
});

await step("a logout that is refused is said, and may be tried again", async () => {
  const headers = { "access-control-allow-origin": new URL(page_url).origin };
  await page.route("**/logout", (route) => route.fulfill({ status: 503, headers }), { times: 1 });
  await page.getByRole("button", { name: "Log out" }).click();
  await until("The logout was answered with 503.");
});

await step("after the logout nothing is shown", async () => {
  await page.getByRole("button", { name: "Log out" }).click();
  await until("Nobody is logged in.");
  assert.equal(await page.getByRole("listitem").count(), 0);
});

assert.deepEqual(wrong, []);
await browser.close();
process.exit(0);
