/** Texts in pipes: echoes, JSON lines, and line after line. */
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTokenizer } from "../../runtime/text/text.ts";
import { COMMAND, convertInto, errorOf, longconv, scratch } from "../../test/command.ts";
import { longconvHere } from "../../test/in-process.ts";
import { demoModel } from "../../test/testdata.ts";

const dir = scratch();
beforeAll(() => convertInto(dir, { demo: demoModel().file }));
afterAll(() => dir.remove());

const json = async (...args: string[]) => JSON.parse((await longconv(["generate", ...args, "--json"])).stdout);

/** With these lines through stdin. */
function piped(model: string, input: string, ...args: string[]) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [COMMAND, "generate", dir.at(model), ...args], {
    input,
    encoding: "utf8",
  });
  return { stdout, stderr, code: status };
}

const readJson = (name: string) => JSON.parse(readFileSync(dir.at("demo", name), "utf8"));
const tokenizer = () => createTokenizer(readJson("tokenizer.json"), readJson("tokenizer_config.json"));

const parsed = (stdout: string) =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
const results = (stdout: string) => parsed(stdout).flatMap(({ result }) => (result ? [result] : []));

test("ids are echoed as the text that they are", async () => {
  const { text } = await json(dir.at("demo"), "-p", "In the beginning", "-n", "6");
  const ids = tokenizer().encode("In the beginning");
  const { stdout } = await longconv(["generate", dir.at("demo"), "--ids", ids.join(), "--echo", "-n", "6"]);
  expect(stdout).toBe(`In the beginning${text}\n`);
});

test("JSON lines: one for each token as it comes, the last is the result, or the error", async () => {
  const whole = await json(dir.at("demo"), "-p", "And he said", "-n", "8");
  const args = ["generate", dir.at("demo"), "-p", "And he said", "--json-lines"];
  const { stdout } = await longconv([...args, "-n", "8"]);
  const lines = parsed(stdout);
  const [{ result }, ...pieces] = lines.reverse();
  expect(result).toMatchObject({ tokens: whole.tokens, text: whole.text, finish: "length" });
  expect(pieces.reverse().map(({ token }) => token)).toEqual(whole.tokens);
  expect(pieces.map(({ text }) => text).join("")).toBe(whole.text);

  const failed = await longconv(["generate", dir.at("none"), "-p", "And", "--json-lines"]);
  expect(parsed(failed.stdout)).toMatchObject([{ error: { code: "file-missing" } }]);
});

test("line after line: each goes on from the state that the one before it left", async () => {
  const { stdout, code } = piped("demo", "In the beginning\n\nAnd he said\n", "-i", "-n", "6", "--json-lines");
  expect(code).toBe(0);
  const [first, second, third] = results(stdout);
  const whole = await json(dir.at("demo"), "-p", "In the beginning", "-n", "12");
  expect([...first.tokens, ...second.tokens]).toEqual(whole.tokens);
  const below = `In the beginning${whole.text}\nAnd he said`;
  expect(third.text).toBe((await json(dir.at("demo"), "-p", below, "-n", "6")).text);
});

test("with the model's chat template, and only what is new of a conversation is read", async () => {
  cpSync(dir.at("demo"), dir.at("chat"), { recursive: true });
  const config = readJson("tokenizer_config.json");
  const template =
    "{% for m in messages %}{{ m.role }}:{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";
  writeFileSync(
    dir.at("chat/tokenizer_config.json"),
    JSON.stringify({ ...config, chat_template: [{ name: "default", template }] }),
  );
  const { stdout, stderr, code } = piped("chat", "Who art thou\nGo\n", "-i", "-n", "6", "--json-lines");
  expect(code, stderr).toBe(0);
  const [first, second] = results(stdout);
  const { eos_token: end } = config;
  const ids = (text: string) => tokenizer().encode(text, { addSpecialTokens: false });
  const from = (prompt: readonly number[]) => json(dir.at("chat"), "--ids", prompt.join(), "-n", "6");
  const asked = ids(`user:Who art thou${end}assistant:`);
  const again = ids(`${end}user:Go${end}assistant:`);
  expect(first).toMatchObject({ tokens: (await from(asked)).tokens });
  expect(second).toMatchObject({
    tokens: (await from([...asked, ...first.tokens, ...again])).tokens,
    promptTokens: again.length,
  });
});

test("a text that matches a pattern, and JSON that a schema allows", async () => {
  const args = [dir.at("demo"), "-p", "And the king said, ", "--seed", "3"];
  const said = await json(...args, "--regex", "[A-Z][a-z]+(?:, [a-z]+){1,3}\\.");
  expect(said).toMatchObject({
    text: expect.stringMatching(/^[A-Z][a-z]+(?:, [a-z]+){1,3}\.$/),
    finish: "stop-pattern",
  });
  const schema = { type: "object", properties: { years: { type: "integer" } }, required: ["years"] };
  writeFileSync(dir.at("schema.json"), JSON.stringify(schema));
  const { text } = await json(...args, "--json-schema", dir.at("schema.json"));
  expect(JSON.parse(text)).toEqual({ years: expect.any(Number) });
  const several = await json(...args, "--count", "3", "--regex", "(?:yes|no)");
  for (const each of several.texts) expect(["yes", "no"]).toContain(each.text);

  writeFileSync(dir.at("broken.json"), "{");
  const refused = async (...more: string[]) => errorOf(await longconvHere(["generate", ...args, ...more, "--json"]));
  expect(await refused("--regex", "a(")).toMatchObject({ code: "bad-input" });
  expect(await refused("--regex", "a{40}", "-n", "30")).toMatchObject({
    code: "bad-input",
    remedy: "Allow 40 or more.",
  });
  expect(await refused("--json-schema", dir.at("broken.json"))).toMatchObject({ code: "bad-input" });
  expect(await refused("--json-schema", dir.at("none.json"))).toMatchObject({ code: "file-missing" });
  expect(await refused("--json-schema", dir.at("schema.json"), "--regex", "a")).toMatchObject({ code: "usage" });
  const beams = ["generate", dir.at("demo"), "-p", "a", "--beams", "2", "--regex", "a", "--json"];
  expect(errorOf(await longconvHere(beams))).toMatchObject({ code: "usage" });
});

test("what does not go together is said", async () => {
  for (const args of [["--json"], ["--prompt", "-"], ["--ids", "1"]]) {
    const { code, stderr } = piped("demo", "", "-i", ...args);
    expect(stderr).toContain("[usage]");
    expect(code).toBe(2);
  }
});
