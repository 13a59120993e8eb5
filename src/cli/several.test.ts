/** Several texts, and drafts, from the command. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { beamSearch, load, nBest } from "../../runtime/node.ts";
import { longconv, scratch } from "../../test/command.ts";
import { longconvHere } from "../../test/in-process.ts";
import { writeLetters } from "../../test/letters.ts";

const dir = scratch();
beforeAll(() => writeLetters(dir.at("letters")));
afterAll(() => dir.remove());

test("texts are those of the library, the best first", async () => {
  const model = await load(dir.at("letters"));
  const beams = await beamSearch(model, { prompt: "moses", beams: 3, maxNewTokens: 7 });
  const best = await nBest(model, { prompt: "moses", n: 2, seed: 5, temperature: 0.7, maxNewTokens: 7 });
  const args = ["generate", dir.at("letters"), "-p", "moses", "-n", "7"];
  const { stdout } = await longconv([...args, "--beams", "3", "--json"]);
  expect(JSON.parse(stdout).texts.map(({ tokens }: { tokens: number[] }) => tokens)).toEqual(
    beams.map(({ tokens }) => tokens),
  );
  const sampled = await longconvHere([...args, "--count", "2", "--seed", "5", "-t", "0.7", "--echo"]);
  expect(sampled.stdout).toBe(best.map(({ text }) => `moses${text}\n`).join(""));
  expect(sampled.stderr).toMatch(/^\[7 tokens, log probability -\d+\.\d\d; ended by length\]/);
  await model.close();
});

test("drafts leave the text as it is", async () => {
  const args = ["generate", dir.at("letters"), "-p", "moses and moses and moses", "-n", "30"];
  const { stdout } = await longconvHere(args);
  expect((await longconvHere([...args, "--lookup"])).stdout).toBe(stdout);
  expect((await longconvHere([...args, "--draft", dir.at("letters")])).stdout).toBe(stdout);
});

test.each([
  [["--beams", "2", "--count", "2"], /only one of --beams and --count/],
  [["--beams", "2", "--seed", "1"], /--seed has no place there/],
  [["--beams", "2", "--save-state", "x.state"], /--beams and --save-state do not go together/],
  [["--count", "2", "--lookup"], /--count and --lookup do not go together/],
  [["--lookup", "--draft", "other"], /only one of --lookup and --draft/],
])("%s is refused", async (options, message) => {
  const { code, stderr } = await longconvHere(["generate", dir.at("letters"), "-p", "a", ...options]);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});

test("several greedy texts are refused: they would all be the same", async () => {
  const { code, stderr } = await longconvHere(["generate", dir.at("letters"), "-p", "a", "--count", "2"]);
  expect(code).toBe(6);
  expect(stderr).toMatch(/--temperature must be above 0/);
});
