// What the clients in JavaScript share: steps that are counted, and the person with their browser.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Runs one step of a client. The runner counts the lines that begin with `ok` and `not ok`. */
export async function step(what, work) {
  try {
    const value = await work();
    console.log(`ok - ${what}`);
    return value;
  } catch (error) {
    console.log(`not ok - ${what}`);
    console.error(error);
    // What follows builds on it.
    process.exit(1);
  }
}

/** Sends a person to the authorization endpoint and gives the URL that their browser ends at. */
export async function person(url) {
  const program = fileURLToPath(new URL("person.py", import.meta.url));
  const { stdout } = await promisify(execFile)("python3", [program, String(url)]);
  return new URL(stdout.trim());
}

/** A setting of the runner. */
export function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this by make test-clients`);
  return value;
}
