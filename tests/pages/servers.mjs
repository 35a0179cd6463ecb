// A demo and a master, as a user starts them.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const BINARY = process.env.SLAPLEDGER_BIN ?? "target/release/slapledger";
const START_TIMEOUT_MS = 120_000;

/** A server that is stopped by `stop()`; `url` is where it serves. */
export async function start(command, data, options = []) {
  const child = spawn(BINARY, [command, "--data", data, "--listen", "127.0.0.1:0", ...options], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const url = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${command} ${why}:\n${output}`));
    const timer = setTimeout(() => fail("does not start"), START_TIMEOUT_MS);
    const read = (bytes) => {
      output += bytes;
      const found = /serving +(https?:\/\/\S+)\/ /.exec(output);
      if (found) { clearTimeout(timer); resolve(found[1]); }
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", (status) => { clearTimeout(timer); fail(`ended with ${status}`); });
  });
  const stop = () => new Promise((resolve) => { child.removeAllListeners("exit"); child.on("exit", resolve); child.kill("SIGTERM"); });
  return { url, stop, output: () => output };
}

/** A temporary folder that goes with the program. */
export function folder() {
  const path = mkdtempSync(join(tmpdir(), "slapledger-pages-"));
  process.on("exit", () => rmSync(path, { recursive: true, force: true }));
  return join(path, "data");
}

/** Runs a command to its end; its standard output. */
export function run(...command) {
  const { status, stdout, stderr } = spawnSync(BINARY, command, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command.join(" ")} ended with ${status}: ${stderr}`);
  return stdout;
}
