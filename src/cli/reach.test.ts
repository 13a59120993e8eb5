/** Where a model's claim or its positions end, the commands stop and say so; --beyond goes on past the claim. */
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convert } from "../../converter/convert.ts";
import { writeModel } from "../../converter/file/write.ts";
import { lookBeside } from "../../converter/output/beside.ts";
import { writeOutput } from "../../converter/output/output.ts";
import { targetOf } from "../../converter/output/target.ts";
import { claiming, PROMPT, saying, TABLES } from "../../test/claims.ts";
import { errorOf, longconv, scratch } from "../../test/command.ts";
import { zooModel } from "../../test/testdata.ts";

import { type Claim, METADATA } from "../contract.ts";

const IDS = PROMPT.join();
const CLAIM: Claim = { kind: "seen", positions: 30, rows: 4, node: "node_DFT_3", because: "no rule covers it" };
const SAID = "seen to 30 positions and 4 rows because 'node_DFT_3': no rule covers it";
const source = zooModel("tnn-toeplitz").file;
const [, table] = TABLES;
const dir = scratch();
afterAll(() => dir.remove());

/** A file that claims 30 positions, a folder that does, and a folder whose table ends at 96. */
beforeAll(async () => {
  const model = claiming((await convert(source)).model, CLAIM);
  await writeModel(model, dir.at("claim.onnx"));
  await writeOutput(model, await lookBeside(source), targetOf(dir.at("claim")));
  await writeOutput((await convert(table!.file)).model, await lookBeside(table!.file), targetOf(dir.at("table")));
});

const run = (command: string, ...args: string[]) => longconv([command, ...args]);
async function json(command: string, ...args: string[]) {
  const { code, stdout, stderr } = await run(command, ...args, "--json");
  expect(code, stderr).toBe(0);
  return { result: JSON.parse(stdout), stderr };
}

test("convert refuses a model that ends before the length of its training, unless less is said to be enough", async () => {
  copyFileSync(zooModel("tnn-fft-static").file, dir.at("model.onnx"));
  writeFileSync(dir.at("training.json"), JSON.stringify({ sequence_length: 512 }));
  const out = dir.at("short.onnx");
  const refused = await run("convert", dir.at("model.onnx"), "-o", out);
  expect(refused.code).toBe(4);
  expect(refused.stderr).toContain("the model was trained with 512 positions");
  expect(refused.stderr).toContain("[claim-short]");
  expect(refused.stderr).toContain("--require 48");
  expect(existsSync(out)).toBe(false);
  const told = await run("convert", dir.at("model.onnx"), "-o", out, "--require", "48");
  expect(told.code, told.stderr).toBe(0);
  expect(told.stdout).toContain("fewer positions than the 512 it was trained with");
});

describe("generate", () => {
  test("ends with the claim, says why, and how to go on", async () => {
    const { code, stdout, stderr } = await run("generate", dir.at("claim.onnx"), "--ids", IDS);
    expect(code).toBe(0);
    expect(stdout.split(",").length).toBe(30 - PROMPT.length);
    expect(stderr).toContain("ended by reach");
    expect(stderr).toContain(`${SAID}. --beyond goes on.`);
  });

  test("goes on with --beyond and one remark, from a saved state too", async () => {
    const [file, state] = [dir.at("claim.onnx"), dir.at("story.state")];
    const { result: short } = await json("generate", file, "--ids", IDS, "--save-state", state);
    expect(short).toMatchObject({ finish: "reach", claim: CLAIM });
    const { result: long, stderr } = await json("generate", file, "--ids", IDS, "-n", "40", "--beyond");
    expect(long.finish).toBe("length");
    expect(stderr.match(/^remark: .*$/gm)).toEqual([expect.stringContaining(SAID)]);
    const refused = errorOf(await run("generate", file, "--state", state, "--json"));
    expect(refused.code).toBe("beyond-claim");
    const { result: rest } = await json("generate", file, "--state", state, "-n", "18", "--beyond");
    expect([...short.tokens, ...rest.tokens]).toEqual(long.tokens);
  });

  test("a prompt that is too long is an error in the words of the command", async () => {
    const long = Array.from({ length: 100 }, (_, k) => k % 50).join();
    const claim = await run("generate", dir.at("claim.onnx"), "--ids", long, "--json");
    expect(errorOf(claim)).toMatchObject({ code: "beyond-claim", reason: expect.stringContaining(SAID) });
    expect(claim.code).toBe(6);
    expect(claim.stderr).toContain("--beyond");
    expect(claim.stderr).not.toContain("`beyond`");
    const positions = await run("generate", dir.at("table"), "--ids", long, "--beyond", "--json");
    expect(errorOf(positions)).toMatchObject({ code: "beyond-positions", reason: expect.stringContaining("96") });
    expect(positions.code).toBe(6);
  });

  test("ends with the table, --beyond or not", async () => {
    for (const beyond of [[], ["--beyond"]]) {
      const { result, stderr } = await json("generate", dir.at("table"), "--ids", IDS, ...beyond);
      expect(result).toMatchObject({ finish: "positions", positions: 96, tokens: { length: 96 - PROMPT.length } });
      expect(stderr).not.toContain("remark");
    }
  });
});

test("verify compares within the claim, and beyond it where that is asked for", async () => {
  const file = dir.at("claim.onnx");
  const lengths = ({ rows }: { rows: { length: number }[] }) => [...new Set(rows.map(({ length }) => length))];
  expect(lengths((await json("verify", source, file)).result)).toEqual([30]);
  expect(errorOf(await run("verify", source, file, "--lengths", "16,64", "--json")).code).toBe("beyond-claim");
  const beyond = await json("verify", source, file, "--lengths", "16,64", "--beyond");
  expect(lengths(beyond.result)).toEqual([16, 64]);
  expect(beyond.stderr).toContain(SAID);
  expect(lengths((await json("verify", table!.file, dir.at("table"))).result)).toEqual([64]);
  const over = await run("verify", table!.file, dir.at("table"), "--lengths", "97", "--beyond", "--json");
  expect(errorOf(over).code).toBe("beyond-positions");
});

test("bench times a model whose table ends up to there, and refuses more", async () => {
  const args = [table!.file, dir.at("table"), "--rounds", "2"];
  const { result } = await json("bench", ...args);
  expect(result.prompt.tokens).toBe(96);
  expect(result.decode.exported.map(({ context }: { context: number }) => context)).toEqual([96]);
  expect(errorOf(await run("bench", ...args, "--prompt", "97", "--json")).code).toBe("beyond-positions");
  expect(errorOf(await run("bench", ...args, "--contexts", "97", "--json")).code).toBe("beyond-positions");
  const rows = await run("bench", source, dir.at("claim.onnx"), "--batch", "5", "--rounds", "2", "--json");
  expect(errorOf(rows)).toMatchObject({ code: "beyond-claim", reason: expect.stringContaining("5 rows") });
});

describe("check", () => {
  test("prints the claim and the positions", async () => {
    expect((await run("check", dir.at("claim.onnx"))).stdout).toContain(`claim       ${SAID}`);
    const { stdout } = await run("check", dir.at("table"));
    expect(stdout).toMatch(/^claim {7}ends at 96 positions/m);
    expect(stdout).toMatch(/^positions {3}96, and no more$/m);
    expect((await json("check", dir.at("claim.onnx"))).result).toMatchObject({ kept: true, claim: CLAIM });
  });

  test("a claim that cannot be read breaks the contract; none is a remark", async () => {
    const { model } = await convert(source);
    await writeModel(saying(model, { [METADATA.claim]: "sure" }), dir.at("unclear.onnx"));
    const unclear = await run("check", dir.at("unclear.onnx"), "--json");
    expect(unclear.code).toBe(6);
    expect(JSON.parse(unclear.stdout).findings).toContainEqual(
      expect.objectContaining({ rule: "claim", breaks: true }),
    );
    await writeModel(saying(model, { [METADATA.claim]: undefined }), dir.at("silent.onnx"));
    const { result } = await json("check", dir.at("silent.onnx"));
    expect(result.findings).toContainEqual(expect.objectContaining({ rule: "claim", breaks: false }));
  });
});

describe("folders for other stacks end where the model does", () => {
  const read = (...names: string[]) => readFileSync(dir.at(...names), "utf8");

  test("transformers.js: config.json", () => {
    expect(JSON.parse(read("claim", "config.json"))).toMatchObject({
      max_position_embeddings: 30,
      longconv_ssm: { claim: CLAIM },
    });
    expect(JSON.parse(read("table", "config.json"))).toMatchObject({
      max_position_embeddings: 96,
      longconv_ssm: { positions: 96 },
    });
  });

  test("ONNX Runtime GenAI: context_length", async () => {
    const deploy = (to: string, ...args: string[]) =>
      run("deploy", "genai", dir.at("claim"), "-o", dir.at(to), "--end-token", "0", ...args, "--json");
    expect((await deploy("genai")).code).toBe(0);
    const { model, search } = JSON.parse(read("genai", "genai_config.json"));
    expect([model.context_length, search.max_length]).toEqual([30, 30]);
    expect(errorOf(await deploy("longer", "--context-length", "31")).code).toBe("beyond-claim");
    expect((await deploy("longer", "--context-length", "31", "--beyond")).code).toBe(0);
    expect(JSON.parse(read("longer", "genai_config.json")).model.context_length).toBe(31);
  });

  test("Triton: max_batch_size, and the claim as a parameter", async () => {
    const deploy = (to: string, ...args: string[]) =>
      run("deploy", "triton", dir.at("claim"), "-o", dir.at(to), "--name", "m", ...args, "--json");
    expect((await deploy("triton")).code).toBe(0);
    const config = read("triton", "m", "config.pbtxt");
    expect(config).toContain("max_batch_size: 4\n");
    expect(config).toContain(`key: "${METADATA.claim}"`);
    expect(config).toContain(`string_value: ${JSON.stringify(JSON.stringify(CLAIM))}`);
    expect(errorOf(await deploy("wider", "--max-batch-size", "5")).code).toBe("beyond-claim");
    expect((await deploy("wider", "--max-batch-size", "5", "--beyond")).code).toBe(0);
  });
});

test("a folder keeps the source's own end where that is nearer", async () => {
  const model = claiming((await convert(source)).model, CLAIM);
  const beside = { ...(await lookBeside(source)), config: { max_position_embeddings: 20 } };
  await writeOutput(model, beside, targetOf(dir.at("near")));
  expect(JSON.parse(readFileSync(dir.at("near", "config.json"), "utf8")).max_position_embeddings).toBe(20);
});
