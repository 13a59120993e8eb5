/** Projects that install the packed checkout from the npm registry, where nothing else is reached. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect } from "vitest";
import { ROOT } from "../scripts/root.ts";
import type { Scratch } from "./command.ts";

/** What onnxruntime-node's install script fetches from elsewhere goes to a port where nobody listens. */
const FIREWALL = { GLOBAL_AGENT_HTTPS_PROXY: "http://127.0.0.1:9" };
const QUIET = { npm_config_prefer_offline: "true", npm_config_audit: "false", npm_config_fund: "false" };

/** The README's command that installs the package with a runtime. */
export function readmeCommand(runtime: string): string {
  const readme = readFileSync(path.join(ROOT, "README.md"), "utf8");
  const lines = [...readme.matchAll(/```sh\n(npm install [^\n]*)\n```/g)].map((match) => match[1]!);
  return lines.find((line) => line.includes(runtime))!;
}

/**
 * Packs the checkout into the folder that the README's commands name.
 * @returns makes a project beside it and installs by a command; gives what npm said on stderr
 */
export function installer(dir: Scratch): (project: string, command: string) => string {
  const run = (command: string, cwd: string) => {
    const env = { ...process.env, ...FIREWALL, ...QUIET };
    const { status, stderr } = spawnSync(command, { cwd, env, encoding: "utf8", shell: true });
    expect(status, stderr).toBe(0);
    return stderr;
  };
  mkdirSync(dir.at("longconv-ssm"));
  run(`npm pack --pack-destination ${dir.at("longconv-ssm")}`, ROOT);
  return (project, command) => {
    mkdirSync(dir.at(project), { recursive: true });
    writeFileSync(dir.at(project, "package.json"), JSON.stringify({ type: "module", private: true }));
    return run(command, dir.at(project));
  };
}
