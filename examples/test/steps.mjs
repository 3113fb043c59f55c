// What the tests in JavaScript share: steps that are counted, and the program of an example.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Runs one step. The runner counts the lines that begin with `ok`. */
export async function step(what, work) {
  const value = await work();
  console.log(`ok - ${what}`);
  return value;
}

/** Starts a program of the example `name`, waits until it says its address, and gives both. */
export async function start(name, file, port) {
  const folder = fileURLToPath(new URL(`../${name}`, import.meta.url));
  const program = spawn("node", [file], {
    cwd: folder,
    env: { ...process.env, PORT: String(port) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.on("exit", () => program.kill());
  for await (const line of createInterface(program.stdout)) return line;
  throw new Error(`${name} ended before it was ready`);
}
