// Runs suites one after the other, says how each test went, and counts in the last line:
//     run.mjs SUITE...

import { dirname, join } from "node:path";
import { run } from "node:test";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
// Milliseconds for one suite.
const LONGEST_SUITE = 600_000;
const count = { passed: 0, failed: 0, skipped: 0 };

const files = process.argv.slice(2).map((suite) => join(here, suite));
const events = run({ files, concurrency: 1, timeout: LONGEST_SUITE });
events.on("test:pass", ({ name, skip, todo, details }) => {
  // A file is reported like a test of its own.
  if (details.type === "suite" || files.includes(name)) {
    return;
  }
  count[skip || todo ? "skipped" : "passed"] += 1;
  console.log(`ok - ${name} (${(details.duration_ms / 1000).toFixed(1)} s)`);
});
events.on("test:fail", ({ name, details }) => {
  count.failed += 1;
  const { cause } = details.error;
  console.log(`not ok - ${name}\n${cause?.stack ?? cause ?? details.error}`);
});
events.on("test:stderr", ({ message }) => process.stderr.write(message));
for await (const _event of events);

const { passed, failed, skipped } = count;
console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
