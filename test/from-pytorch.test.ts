/**
 * docs/from-pytorch.md as a reader follows it: its files, then its commands in their order. Installing is what
 * test/install.test.ts and test/package.test.ts do; here the project stands in for the package. Where Python has no torch,
 * the export of `model.py` that is kept in test/models/tutorial stands in for the reader's.
 */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../scripts/root.ts";
import { COMMAND, scratch } from "./command.ts";
import { launchChromium, newPage } from "./web/chromium.ts";

const page = readFileSync(path.join(ROOT, "docs/from-pytorch.md"), "utf8");
const dir = scratch();
afterAll(() => dir.remove());

/** Set LONGCONV_PYTHON to a Python that has torch, onnx, onnxscript and tokenizers. */
const python = process.env.LONGCONV_PYTHON ?? "python3";
const hasTorch = spawnSync(python, ["-c", "import torch, onnx, onnxscript, tokenizers"]).status === 0;

/** Commands of the page, one a line. */
const commands = [...page.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block = ""]) => block.trim().split("\n"));
const INSTALLING = /^\(cd longconv-ssm|^(pip|npm) install /;
const SERVING = /^node server\.js|^npx vite preview/;

const environment = {
  ...process.env,
  PATH: `${dir.at("bin")}${path.delimiter}${process.env.PATH}`,
  PYTHONPATH: path.join(ROOT, "scripts/export"),
};
const shell = (command: string) =>
  spawnSync(command, { cwd: dir.folder, env: environment, shell: true, encoding: "utf8" });

beforeAll(() => {
  for (const [, name = "", code = ""] of page.matchAll(/<!-- examples\/\S+?([^/\s]+) -->\n+```\w+\n(.*?)```/gs))
    writeFileSync(dir.at(name), code);
  symlinkSync(ROOT, dir.at("longconv-ssm"), "dir");
  mkdirSync(dir.at("node_modules/.bin"), { recursive: true });
  symlinkSync(ROOT, dir.at("node_modules/longconv-ssm"), "dir");
  for (const name of ["onnxruntime-node", "onnxruntime-web", "vite"])
    symlinkSync(path.join(ROOT, "node_modules", name), dir.at("node_modules", name), "dir");
  symlinkSync(COMMAND, dir.at("node_modules/.bin/longconv-ssm"));
  symlinkSync(path.join(ROOT, "node_modules/vite/bin/vite.js"), dir.at("node_modules/.bin/vite"));
  writeFileSync(dir.at("package.json"), JSON.stringify({ type: "module" }));
  mkdirSync(dir.at("bin"));
  writeFileSync(dir.at("bin/python"), `#!/bin/sh\nexec '${python}' "$@"\n`, { mode: 0o755 });
});

const steps = commands.filter((command) => !INSTALLING.test(command) && !SERVING.test(command));

test("every command is run here, but for installing", () => {
  expect(commands.filter((command) => INSTALLING.test(command))).toHaveLength(3);
  expect(commands.filter((command) => SERVING.test(command))).toHaveLength(2);
  expect(steps).toHaveLength(7);
});

/** What is looked for in the output of a command. */
const SAYS: readonly (readonly [RegExp, RegExp])[] = [
  [/^python /, /step 400: loss [0-3]\./],
  [/ inspect /, /2 long convolutions:[\s\S]*Nothing stands in the way/],
  [/ convert /, /^claim +proven[\s\S]*check +\d+ comparisons/],
  [/ verify /, /^verdict: the original's first choice at /m],
  [/ generate /, /^You may/],
];

test.each(steps)("%s", (command) => {
  if (command.startsWith("python ") && !hasTorch) {
    console.warn(
      `${python} has no torch, onnx, onnxscript and tokenizers, so model.py is not run (LONGCONV_PYTHON names one)`,
    );
    cpSync(path.join(ROOT, "test/models/tutorial"), dir.at("exported"), { recursive: true });
    return;
  }
  const { status, stdout, stderr } = shell(command);
  expect(status, stderr).toBe(0);
  const [, says] = SAYS.find(([which]) => which.test(command)) ?? [];
  if (says) expect(stdout).toMatch(says);
});

const servers: number[] = [];
afterAll(() => {
  // with what they have started
  for (const server of servers) process.kill(-server);
});

/** The address of a command that serves, once it has printed it. */
async function serving(command: string): Promise<string> {
  const [program = "", ...args] = command.split(" ");
  const child = spawn(program, args, { cwd: dir.folder, env: environment, detached: true });
  servers.push(child.pid!);
  for await (const line of createInterface({ input: child.stdout })) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
    const url = /http:\/\/localhost:\d+\//.exec(line.replace(/\x1b\[\d+m/g, ""))?.[0];
    if (url) return url;
  }
  throw new Error(`${command} gives no address`);
}

test("the server streams a text to whoever asks", async () => {
  const url = await serving(commands.find((each) => each.startsWith("node server.js"))!.replace("8080", "0"));
  const [, query = ""] = /curl --no-buffer 'http:\/\/localhost:8080\/(.*?)'/.exec(page)!;
  const answer = await fetch(url + query);
  expect(answer.status).toBe(200);
  expect((await answer.text()).length).toBeGreaterThan(40);
});

test("the page loads its model, writes and stops", async () => {
  expect(existsSync(dir.at("dist/model/onnx/model.onnx"))).toBe(true);
  const url = await serving("npx vite preview --port 0");
  const browser = await launchChromium({ gpu: false });
  const view = await newPage(browser);
  await view.goto(url);
  await view.getByText("Ready, on onnxruntime-web").waitFor();
  await view.getByLabel("Prompt").fill("You may");
  await view.getByRole("button", { name: "Generate" }).click();
  await view.waitForFunction(() => document.querySelector("#text")!.textContent!.length > 60);
  await view.getByRole("button", { name: "Stop" }).click();
  await view.getByText("Stopped.").waitFor();
  await browser.close();
});
