// A real Chromium, and what the tests want to know about a page in it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Milliseconds that anything may take. */
export const PATIENCE = 20_000;

/** Starts Chromium on an empty profile. The simulated hosts lead to the simulator, whose keys are trusted. */
export function startBrowser(stack) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // The browser's own blocker of popups is part of what is tested.
    ignoreDefaultArgs: ["--disable-popup-blocking"],
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--host-resolver-rules=${stack.resolve}`,
      `--ignore-certificate-errors-spki-list=${stack.trustedKeys}`,
    ],
  });
}

/** A person's browser: cookies of its own, and a record of all that went wrong in its pages. */
export async function startContext(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 768, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE);
  const wrong = [];
  const watch = (page) => {
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !isExpected(message)) {
        wrong.push(`${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
    page.on("pageerror", (error) => wrong.push(`uncaught: ${error.message}`));
    page.on("dialog", (dialog) => {
      wrong.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
  };
  context.on("page", watch);
  return { context, wrong };
}

// Chromium reports each answer that is no success. These are what the pages are made for: a login that is
// still under way, a page that says what is wrong, and what a person asked of IntelligenceBank.
const MAY_FAIL = [/\/authorize$/, /\/authorize\/poll$/, /\/proxy\//, /\/token$/, /\/logout$/, /\/userinfo$/];

function isExpected(message) {
  const path = new URL(message.location().url || "about:blank").pathname;
  return message.text().startsWith("Failed to load resource: ") && MAY_FAIL.some((own) => own.test(path));
}

/** Fails with what axe finds, and when the page is wider than its window. */
export async function assertAccessible(page, what) {
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(found, [], `axe on ${what}`);
  assert.ok(passes.length > 5, `axe looked at ${what}`);
  const [page_width, window_width] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert.ok(page_width <= window_width, `${what} scrolls sideways: ${page_width} > ${window_width}`);
}

/** The height of the window of a picture, which is as high as its page and at least that. */
const PICTURE_HEIGHT = 400;

/** Looks at a page as it is: at three widths, light and dark, with axe. `take` may keep a picture. */
export async function look(page, what, take) {
  const before = page.viewportSize();
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [320, 768, 1280]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height: PICTURE_HEIGHT });
      await assertAccessible(page, `${what}, ${width} px, ${colorScheme}`);
      await take?.(`${what}-${width}-${colorScheme}`);
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  await page.setViewportSize(before);
}
