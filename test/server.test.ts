/** The documentation's server, as a process of its own: clients that ask for nonsense or leave harm nobody else. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { createConnection } from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generate, load } from "../runtime/node.ts";
import { ROOT } from "../scripts/root.ts";
import { scratch } from "./command.ts";
import { writeLetters } from "./letters.ts";

const SERVER = path.join(ROOT, "examples/server/server.js");
const dir = scratch();
let server: ChildProcess;
let url: string;
/** Lines of the server's output that no test has taken yet, and those that wait for one. */
const lines: string[] = [];
const waiting: ((line: string) => void)[] = [];

const nextLine = (): Promise<string> =>
  new Promise((resolve) => {
    const line = lines.shift();
    if (line === undefined) waiting.push(resolve);
    else resolve(line);
  });

beforeAll(async () => {
  writeLetters(dir.folder);
  server = spawn(process.execPath, [SERVER, dir.folder, "0"], { stdio: ["ignore", "pipe", "pipe"] });
  const problems: string[] = [];
  server.stderr!.setEncoding("utf8").on("data", (text: string) => problems.push(text));
  server.on("close", () => {
    for (const resolve of waiting.splice(0)) resolve(`the server ended: ${problems.join("")}`);
  });
  createInterface({ input: server.stdout! }).on("line", (line) => {
    const resolve = waiting.shift();
    if (resolve) resolve(line);
    else lines.push(line);
  });
  url = await nextLine();
  expect(url).toMatch(/^http:\/\/localhost:\d+\/$/);
});

afterAll(() => {
  server?.kill("SIGKILL");
  dir.remove();
});

const ask = (query: string, method = "GET") => fetch(`${url}${query}`, { method });

/** The server is alive, and answers as the runtime does. */
async function answersAsEver(): Promise<void> {
  const model = await load(dir.folder);
  let text = "";
  const options = { prompt: "abc", maxNewTokens: 20, temperature: 0.8, seed: 7 };
  for await (const piece of generate(model, options)) text += piece.text;
  await model.close();
  expect(text).toHaveLength(20);
  const response = await ask("?prompt=abc&tokens=20&seed=7");
  expect([response.status, await response.text()]).toEqual([200, text]);
  expect(await nextLine()).toBe("answered with 20 tokens");
}

test("gives the text that the runtime gives", answersAsEver);

test.each([
  ["an empty prompt", "?prompt="],
  ["no prompt", ""],
  ["a number that is none", "?prompt=abc&tokens=many"],
  ["a number that is missing", "?prompt=abc&tokens="],
  ["a number below its range", "?prompt=abc&tokens=-1"],
  ["a temperature below zero", "?prompt=abc&temperature=-1"],
  ["a seed with a fraction", "?prompt=abc&seed=0.5"],
])("%s is refused with a sentence, and the server goes on", async (_, query) => {
  const response = await ask(query);
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ code: "bad-input", reason: expect.stringMatching(/\w+ \w+/) });
  await answersAsEver();
});

test("another method, an address that cannot be read and what is no HTTP are refused, and the server goes on", async () => {
  expect((await ask("?prompt=abc", "POST")).status).toBe(400);
  const raw = async (text: string) => {
    const socket = createConnection(Number(new URL(url).port), "localhost");
    socket.end(text);
    let answer = "";
    for await (const chunk of socket.setEncoding("utf8")) answer += chunk;
    return answer;
  };
  expect(await raw("GET // HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).toMatch(/^HTTP\/1.1 400 .*"bad-input"/s);
  expect(await raw("nonsense\r\n\r\n")).toMatch(/^HTTP\/1.1 400 /);
  await answersAsEver();
});

/** An answer, not read yet. */
const begun = async (query: string): Promise<IncomingMessage> => (await once(get(`${url}${query}`), "response"))[0];

test("a client that leaves midway ends its own generation, and no other", async () => {
  const most = 10_000;
  // One that reads on while others leave.
  const stays = ask(`?prompt=abc&tokens=300&seed=1`);
  for (let client = 0; client < 8; client++) {
    const response = await begun(`?prompt=abc&tokens=${most}`);
    await once(response, "data");
    response.destroy();
  }
  expect((await (await stays).text()).length).toBe(300);
  const said = await Promise.all(Array.from({ length: 9 }, nextLine));
  const left = said.flatMap((line) => line.match(/^the client left after (\d+) tokens$/)?.[1] ?? []).map(Number);
  expect(left, said.join("\n")).toHaveLength(8);
  for (const tokens of left) expect(tokens).toBeLessThan(most);
  expect(said).toContain("answered with 300 tokens");
  await answersAsEver();
});

test("at SIGTERM it gives the answer that has begun to its end, and ends", async () => {
  const response = await begun("?prompt=abc&tokens=200&seed=3");
  const ended = once(server, "exit");
  server.kill("SIGTERM");
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  expect(text).toHaveLength(200);
  expect(await ended).toEqual([0, null]);
});
