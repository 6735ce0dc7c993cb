#!/usr/bin/env node
// Starts the executable that npm installed for this machine.
"use strict";

const { spawn } = require("node:child_process");
const os = require("node:os");

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];
const name = `serpentarium-${process.platform}-${process.arch}`;
const program = process.platform === "win32" ? "serpentarium.exe" : "serpentarium";

let executable;
try {
  executable = require.resolve(`${name}/bin/${program}`);
} catch {
  console.error(`error: npm has not installed ${name}: this machine is not supported, or optional packages are off`);
  process.exit(1);
}

const child = spawn(executable, process.argv.slice(2), { stdio: "inherit" });
// The child decides when it ends: a runner finishes its tasks first.
for (const signal of SIGNALS) {
  process.on(signal, () => child.kill(signal));
}
child.on("error", (error) => {
  console.error(`error: ${executable} does not start: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  process.exit(code ?? 128 + os.constants.signals[signal]);
});
