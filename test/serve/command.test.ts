/** The command `serve` as a process of its own: docs/serving.md's lines, both official clients, SIGTERM. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../../scripts/root.ts";
import { COMMAND, scratch } from "../command.ts";
import { writeLetters } from "../letters.ts";

const dir = scratch();
const [page, readme] = ["docs/serving.md", "README.md"].map((name) => readFileSync(path.join(ROOT, name), "utf8"));
let server: ChildProcess;
let url: string;

beforeAll(async () => {
  writeLetters(dir.at("demo-model"));
  const template = "{% for message in messages %}{{ message.content }} {% endfor %}";
  writeFileSync(dir.at("demo-model", "tokenizer_config.json"), JSON.stringify({ chat_template: template }));
  const args = [COMMAND, "serve", "demo-model", "--port", "0", "--sessions", "sessions", "--json"];
  server = spawn(process.execPath, args, { cwd: dir.folder, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  server.stderr!.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const document: string[] = [];
  for await (const line of createInterface({ input: server.stdout! })) {
    document.push(line);
    if (line === "}" || /^\{.*\}$/.test(line)) break;
  }
  expect(said).toBe("");
  const result = JSON.parse(document.join(""));
  expect(result.models).toEqual(["demo-model"]);
  url = result.url;
});
afterAll(() => {
  server?.kill("SIGKILL");
  dir.remove();
});

const blocks = (language: string, of = page!) =>
  [...of.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, "g"))].map((match) =>
    match[1]!.replaceAll("http://127.0.0.1:8080", url),
  );

test("the page's curl lines", () => {
  const scripts = blocks("sh").filter((block) => block.includes("curl"));
  expect(scripts).toHaveLength(4);
  const [whole, streamed, matching, sessions] = scripts.map((script) =>
    execFileSync("bash", ["-ec", script.replaceAll("curl -s", "curl --fail-with-body -s")], {
      cwd: dir.folder,
      encoding: "utf8",
    }),
  );
  expect(JSON.parse(whole!)).toMatchObject({
    choices: [{ finish_reason: "length" }],
    usage: { completion_tokens: 40 },
  });
  expect(streamed!.match(/^data: \{/gm)).toHaveLength(40);
  expect(streamed).toMatch(/data: \[DONE\]\n\n$/);
  expect(JSON.parse(matching!)).toMatchObject({
    choices: [{ text: expect.stringMatching(/^(?:[a-z]{2,9} ){2,5}amen$/), finish_reason: "stop" }],
  });
  const answers = sessions!
    .replaceAll("}{", "}\n{")
    .split("\n")
    .map((line) => JSON.parse(line));
  const [first, second, rewound, fork, imported, gone] = answers;
  expect([first.object, second.object]).toEqual(["text_completion", "text_completion"]);
  const tokens = first.usage.total_tokens + second.usage.total_tokens;
  expect([rewound, fork, imported]).toMatchObject(Array(3).fill({ tokens: tokens - 20 }));
  expect(gone.deleted).toBe(true);
  expect(readdirSync(dir.at("sessions")).sort()).toEqual([`${fork.id}.session`, `${imported.id}.session`].sort());
});

test("the README's lines, by curl and by both clients, are the page's", () => {
  const [asked, ...others] = blocks("sh", readme).filter((block) => block.includes("curl"));
  expect(others).toEqual([]);
  expect(blocks("sh")).toContain(asked);
  expect(blocks("python", readme)).toEqual(blocks("python"));
  expect(blocks("js")).toContain(blocks("js", readme).find((block) => block.includes("OpenAI")));
});

test("a chat, by the template in the model's folder", async () => {
  const body = { model: "demo-model", messages: [{ role: "user", content: "hello" }], max_tokens: 5 };
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body: JSON.stringify(body) });
  expect(await response.json()).toMatchObject({ usage: { prompt_tokens: 6, completion_tokens: 5 } });
});

test("the built package has the start page", async () => {
  const response = await fetch(url);
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(await response.text()).toContain("<title>longconv-ssm serve</title>");
});

test("the page's lines of Python, by the official client", ({ skip }) => {
  const python = process.env.LONGCONV_PYTHON ?? "python3";
  if (spawnSync(python, ["-c", "import openai"]).status !== 0)
    skip(`${python} has no openai. To run: pip install openai, or LONGCONV_PYTHON=path/to/python`);
  const [script] = blocks("python");
  expect(execFileSync(python, ["-c", script!], { encoding: "utf8" })).toHaveLength(40);
});

test("the page's lines of JavaScript, by the official client", () => {
  const [script] = blocks("js");
  // in the checkout, which has the client
  const call = [process.execPath, ["--input-type=module", "-e", script!]] as const;
  expect(execFileSync(...call, { cwd: ROOT, encoding: "utf8" })).toHaveLength(40);
});

test("at SIGTERM the answer that has begun comes to its end, and the process ends with 0", async () => {
  const body = { model: "demo-model", prompt: "abc", max_tokens: 400, stream: true };
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/v1/completions`, { method: "POST", headers, body: JSON.stringify(body) });
  const ended = once(server, "exit");
  server.kill("SIGTERM");
  const text = await response.text();
  expect(text.match(/^data: \{/gm)).toHaveLength(400);
  expect(text).toMatch(/data: \[DONE\]\n\n$/);
  expect(await ended).toEqual([0, null]);
});
