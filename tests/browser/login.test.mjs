// The login page in a real Chromium, over TLS as in production.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { look, PATIENCE, startBrowser, startContext } from "./browser.mjs";
import { arrive, begin, enterPlatform, logIn, openPlatform } from "./person.mjs";
import { keepPicture } from "./pictures.mjs";
import { PLATFORM, startCallback, startStack } from "./stack.mjs";

const SECOND = 1000;
let stack, callback, browser, context, wrong, page;

before(async () => {
  stack = await startStack({ gateway_tls: true });
  callback = await startCallback();
  browser = await startBrowser(stack);
});
after(async () => {
  await browser?.close();
  await callback?.stop();
  await stack?.stop();
});
beforeEach(async () => {
  ({ context, wrong } = await startContext(browser));
  page = await context.newPage();
});
afterEach(async () => {
  await context.close();
  await stack.control("PUT", "/settings", { faults: [] });
  // Whatever a test is about, no page may say anything in the console: no error, no violated policy.
  assert.deepEqual(wrong, []);
});

const link = () => page.getByRole("link", { name: "Open IntelligenceBank" });
const status = () => page.getByRole("status");
const again = () => page.getByRole("button", { name: "Begin again" });
// A page whose script runs can be stopped.
const scriptRuns = () => page.getByRole("button", { name: "Stop waiting" }).waitFor();
const content = async () => new URL(await link().getAttribute("href")).searchParams.get("token");

/** Counts the questions whether the login is done. */
function countPolls() {
  const polls = { count: 0 };
  page.on("request", (request) => {
    polls.count += new URL(request.url()).pathname === "/authorize/poll";
  });
  return polls;
}

/** Has the page count its questions as they are asked (`asked`), and those whose answer it has read (`answered`). */
function countQuestions() {
  return page.addInitScript(() => {
    const ask = globalThis.fetch;
    globalThis.asked = 0;
    globalThis.answered = 0;
    globalThis.fetch = async (...question) => {
      globalThis.asked += 1;
      const response = await ask(...question);
      const read = response.json.bind(response);
      response.json = () => read().finally(() => (globalThis.answered += 1));
      return response;
    };
  });
}

/** Waits until the page has read the answer to each of its questions. */
const quiet = () => page.waitForFunction(() => globalThis.asked === globalThis.answered);

async function says(locator, words) {
  await locator.filter({ hasText: words }).waitFor();
}

test("a person logs in through the popup, which closes, and the application gets its code", async () => {
  const login = begin(stack, callback);
  await enterPlatform(page, login);
  const popup = await openPlatform(page);
  assert.ok(await popup.evaluate(() => globalThis.opener !== null), "a window that tells its opener");
  await says(status(), "Finish your login in the new window");
  const closed = popup.waitForEvent("close");
  await logIn(popup);
  await arrive(page, login, stack);
  await closed;
});

test("a blocked popup becomes a new tab, and the first page still goes on by itself", async () => {
  await page.addInitScript(() => {
    globalThis.open = () => null;
  });
  const login = begin(stack, callback);
  await enterPlatform(page, login);
  const tab = await openPlatform(page);
  assert.ok(await tab.evaluate(() => globalThis.opener === null), "a tab that knows nothing of its opener");
  await says(status(), "Finish your login in the new tab");
  const pressed = page.waitForEvent("domcontentloaded");
  await page.getByRole("button", { name: "Continue" }).click();
  await pressed;
  await says(status(), "come back and continue");
  await scriptRuns();
  assert.ok(await page.getByRole("button", { name: "Continue" }).isVisible(), "the button that the page speaks of");
  await logIn(tab);
  await arrive(page, login, stack);
});

test("without any script a person logs in by the link and the Continue button", async () => {
  await context.close();
  ({ context, wrong } = await startContext(browser, { javaScriptEnabled: false }));
  page = await context.newPage();
  const login = begin(stack, callback);
  await enterPlatform(page, login, "company", { script: false });
  assert.equal(await page.getByRole("button", { name: "Stop waiting" }).count(), 0, "it would do nothing");
  const tab = await openPlatform(page);
  await page.getByRole("button", { name: "Continue" }).click();
  await says(status(), "not finished yet");
  await logIn(tab);
  await says(tab.getByRole("status"), "You are logged in");
  // The service asks the platform twice a second at most.
  for (let tries = 0; tries < 40 && !page.url().startsWith(login.origin); tries += 1) {
    // Each press ends on a page: the same one again, or the application's.
    const shown = page.waitForEvent("domcontentloaded");
    await page.getByRole("button", { name: "Continue" }).click();
    await shown;
  }
  await arrive(page, login, stack);
});

test("whatever a person types for the platform is understood, and remembered for the next login", async () => {
  for (const platform of ["company", ` ${PLATFORM.toUpperCase()} `, `https://${PLATFORM}/auth/?x=1#y`]) {
    await enterPlatform(page, begin(stack, callback), platform);
    await page.getByRole("heading", { name: `Log in at ${PLATFORM}` }).waitFor();
  }
  await page.goto(begin(stack, callback).url);
  assert.equal(await page.getByLabel("Your platform").inputValue(), PLATFORM);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("heading", { name: `Log in at ${PLATFORM}` }).waitFor();
  await page.getByRole("link", { name: "Use another platform" }).click();
  await page.getByRole("heading", { name: "Log in to IntelligenceBank" }).waitFor();
});

test("a wrong platform is explained beside the field, which has the focus and what was typed", async () => {
  const login = begin(stack, callback);
  await page.goto(login.url);
  const field = page.getByLabel("Your platform");
  for (const [typed, words] of [
    ["evil.example", "not one that this service may log in to"],
    [`http://${PLATFORM}`, "must begin with https"],
    ["com pany", "not the address of a platform"],
  ]) {
    await field.fill(typed);
    await page.getByRole("button", { name: "Continue" }).click();
    await says(page.getByRole("alert"), words);
    assert.equal(await field.inputValue(), typed);
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    assert.match(await field.getAttribute("aria-describedby"), /^platform_problem /);
    assert.ok(await field.evaluate((own) => own === own.ownerDocument.activeElement), typed);
  }
  await stack.control("PUT", "/settings", { faults: [{ host: PLATFORM, count: 1, status: 500 }] });
  await field.fill("company");
  await page.getByRole("button", { name: "Continue" }).click();
  await says(page.getByRole("alert"), /cannot be reached|does not answer/);
  await page.getByRole("button", { name: "Continue" }).click();
  await logIn(await openPlatform(page));
  await arrive(page, login, stack);
});

test("an expired login says so, and a new one begins from there", async () => {
  const login = begin(stack, callback);
  await enterPlatform(page, login);
  await stack.control("POST", `/tokens/${await content()}/expire`);
  await says(page.getByRole("alert"), "The login has expired");
  await link().waitFor({ state: "hidden" });
  assert.ok(await again().evaluate((own) => own === own.ownerDocument.activeElement), "the way on has the focus");
  await page.keyboard.press("Enter");
  await scriptRuns();
  await logIn(await openPlatform(page));
  await arrive(page, login, stack);
});

test("two tabs of one browser log in without disturbing each other", async () => {
  const first = begin(stack, callback);
  await enterPlatform(page, first);
  const other = await context.newPage();
  const second = begin(stack, callback);
  await enterPlatform(other, second);
  const windows = [await openPlatform(page), await openPlatform(other)];
  await logIn(windows[1]);
  await arrive(other, second, stack);
  assert.ok(new URL(page.url()).pathname === "/authorize", "the first one still waits");
  await logIn(windows[0], "grace");
  await arrive(page, first, stack);
});

test("a person stops waiting, nothing is asked any more, and a retry logs them in", async () => {
  await page.clock.install();
  const login = begin(stack, callback);
  await enterPlatform(page, login);
  const popup = await openPlatform(page);
  const closed = popup.waitForEvent("close");
  await page.getByRole("button", { name: "Stop waiting" }).click();
  await closed;
  await says(status(), "You stopped waiting");
  const polls = countPolls();
  await page.clock.runFor(30 * SECOND);
  assert.equal(polls.count, 0);
  await again().click();
  await scriptRuns();
  await page.clock.resume();
  await logIn(await openPlatform(page));
  await arrive(page, login, stack);
});

test("after the deadline nothing is asked any more, and the page says so", async () => {
  await page.clock.install();
  await enterPlatform(page, begin(stack, callback));
  await page.clock.fastForward(301 * SECOND);
  await says(page.getByRole("alert"), "took too long");
  const polls = countPolls();
  await page.clock.runFor(30 * SECOND);
  assert.equal(polls.count, 0);
  await again().waitFor();
});

test("the poll comes each second and never twice at once, however slow the service is", async () => {
  await countQuestions();
  let running = 0;
  let most = 0;
  const held = [];
  await page.route("**/authorize/poll?*", async (route) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => held.push(resolve));
    running -= 1;
    await route.continue();
  });
  const asked = () => page.evaluate(() => globalThis.asked);
  const release = async () => {
    const deadline = performance.now() + PATIENCE;
    while (held.length === 0) {
      assert.ok(performance.now() < deadline, "the question is on its way");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    held.splice(0).forEach((resolve) => resolve());
    // The script has then read the answer, and set its timer.
    await quiet();
  };
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + SECOND);
  await enterPlatform(page, begin(stack, callback));
  await page.clock.runFor(10 * SECOND);
  assert.equal(await asked(), 1, "one question, while its answer is missing");
  await release();
  for (let expected = 2; expected < 5; expected += 1) {
    await page.clock.runFor(SECOND - 1);
    assert.equal(await asked(), expected - 1, "no question before the second is over");
    await page.clock.runFor(1);
    assert.equal(await asked(), expected, "a question when it is over");
    await release();
  }
  assert.equal(most, 1);
});

test("login_complete is heard from the platform's window, and from no other origin", async () => {
  await countQuestions();
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + SECOND);
  await enterPlatform(page, begin(stack, callback));
  const popup = await openPlatform(page);
  const opened = context.waitForEvent("page");
  await page.evaluate((url) => void globalThis.open(url), `${callback.origin}/callback`);
  const stranger = await opened;
  await stranger.waitForLoadState();
  // Messages of one window come in their order: when the second one is there, the first one was.
  const tell = async (window) => {
    const came = page.evaluate(
      () => new Promise((resolve) => addEventListener("message", ({ data }) => data === "told" && resolve())),
    );
    await window.evaluate(() => ["login_complete", "told"].forEach((words) => globalThis.opener.postMessage(words, "*")));
    await came;
  };
  for (const [window, questions] of [
    [stranger, 0],
    [popup, 1],
    [stranger, 0],
    [popup, 1],
  ]) {
    await quiet();
    const before = await page.evaluate(() => globalThis.asked);
    await tell(window);
    assert.equal((await page.evaluate(() => globalThis.asked)) - before, questions, window.url());
  }
});

test("a page that loses the connection says so, and goes on when it is back", async () => {
  const login = begin(stack, callback);
  await enterPlatform(page, login);
  const words = await status().textContent();
  await page.route("**/authorize/poll?*", (route) => route.fulfill({ status: 503, body: "no JSON" }));
  await says(status(), "This page keeps asking");
  await page.unroute("**/authorize/poll?*");
  await says(status(), words);
  await logIn(await openPlatform(page));
  await arrive(page, login, stack);
});

test("a hostile state is text wherever it appears, and returns to the application byte for byte", async () => {
  const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>&'\u202e`;
  const login = begin(stack, callback, { state: hostile, platform_url: hostile });
  await page.goto(login.url);
  const field = page.getByLabel("Your platform");
  assert.equal(await field.inputValue(), hostile);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("alert").waitFor();
  assert.equal(await field.inputValue(), hostile);
  await field.fill("company");
  await page.getByRole("button", { name: "Continue" }).click();
  await scriptRuns();
  assert.equal(await page.locator("script:not([src]), img").count(), 0);
  await logIn(await openPlatform(page));
  await arrive(page, login, stack);
});

test("a person without a mouse logs in, and always sees where the focus is", async () => {
  const login = begin(stack, callback);
  await page.goto(login.url);
  const press = async (name) => {
    for (let tabs = 0; tabs < 12; tabs += 1) {
      await page.keyboard.press("Tab");
      const focused = await page.evaluate(() => {
        const own = document.activeElement;
        return { name: own.innerText || own.labels?.[0]?.innerText || "", outline: getComputedStyle(own).outlineStyle };
      });
      assert.notEqual(focused.outline, "none", `no visible focus on ${focused.name}`);
      if (focused.name === name) {
        return;
      }
    }
    assert.fail(`${name} is out of reach`);
  };
  await press("Your platform");
  await page.keyboard.type("company");
  await page.keyboard.press("Enter");
  await scriptRuns();
  const opened = context.waitForEvent("page");
  await press("Open IntelligenceBank");
  await page.keyboard.press("Enter");
  await logIn(await opened);
  await arrive(page, login, stack);
});

test("the cookies of the page are this host's alone and out of reach of scripts", async () => {
  await enterPlatform(page, begin(stack, callback));
  const cookies = await context.cookies();
  assert.deepEqual(cookies.map(({ name }) => name).sort(), ["__Host-ib_login", "__Host-ib_platform"]);
  for (const cookie of cookies) {
    assert.ok(cookie.httpOnly && cookie.secure && cookie.path === "/", JSON.stringify(cookie));
    assert.notEqual(cookie.sameSite, "None");
  }
  // Another browser with the poll token gets nothing.
  const poll = await page.locator("#login").getAttribute("data-poll");
  const stranger = await browser.newContext({ ignoreHTTPSErrors: true });
  const answer = await stranger.request.get(stack.base + poll);
  assert.equal((await answer.json()).error, "access_denied");
  await stranger.close();
});

test("no other site can show the page in a frame", async () => {
  const outer = await context.newPage();
  await outer.goto(`${callback.origin}/callback`);
  const refused = outer.waitForEvent("console", (message) => message.text().includes("frame-ancestors"));
  await outer.evaluate((url) => {
    const frame = document.createElement("iframe");
    frame.src = url;
    document.body.append(frame);
  }, begin(stack, callback).url);
  await refused;
  assert.equal(wrong.splice(0).length, 1, "the browser reports it, and nothing else");
  assert.equal(await outer.frames()[1].getByRole("heading").count(), 0);
});

test("an error page says what to do and names the request", async () => {
  const answer = await page.goto(begin(stack, callback, { client_id: "unknown" }).url);
  assert.equal(answer.status(), 400);
  await says(page.getByRole("alert"), "not registered");
  const reference = answer.headers()["x-request-id"];
  assert.ok(reference.length > 10);
  await says(page.locator("code"), reference);
  await look(page, "login-error", keepPicture(page));
});

test("every page of the login is accessible at any width, light and dark", async () => {
  const picture = keepPicture(page);
  const slow = begin(stack, callback, { redirect_uri: `${callback.origin}/oauth/callback` });
  await page.goto(slow.url);
  await look(page, "login-platform", picture);
  await page.getByLabel("Your platform").fill("evil.example");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("alert").waitFor();
  await look(page, "login-platform-wrong", picture);
  await page.getByLabel("Your platform").fill("company");
  await page.getByRole("button", { name: "Continue" }).click();
  await scriptRuns();
  await look(page, "login-waiting", picture);
  let popup = await openPlatform(page);
  await look(page, "login-open", picture);
  await page.getByRole("button", { name: "Stop waiting" }).click();
  await look(page, "login-stopped", picture);
  await again().click();
  await scriptRuns();
  await stack.control("POST", `/tokens/${await content()}/expire`);
  await page.getByRole("alert").filter({ hasText: "expired" }).waitFor();
  await look(page, "login-expired", picture);
  await again().click();
  await scriptRuns();
  popup = await openPlatform(page);
  await logIn(popup);
  // The application takes over outside of the browser, and the page stays.
  await page.getByRole("link", { name: "Return to the application" }).waitFor();
  await look(page, "login-done", picture);
});

test("these tests would notice a page that violates its policy", async () => {
  await page.goto(begin(stack, callback).url);
  await page.evaluate(() => {
    const style = document.createElement("style");
    style.textContent = "body { color: red }";
    document.head.append(style);
  });
  await page.waitForFunction(() => document.styleSheets.length > 0);
  assert.equal(wrong.length, 1);
  assert.match(wrong.pop(), /Content Security Policy/);
});
