/** What cannot be compared is refused before anything is run. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { zooModel } from "../test/testdata.ts";
import { convert } from "./convert.ts";
import { writeModel } from "./file/write.ts";
import { verify } from "./verify.ts";

const folder = mkdtempSync(path.join(tmpdir(), "longconv-"));
const converted = path.join(folder, "converted.onnx");
const { file } = zooModel("h3");
beforeAll(async () => writeModel((await convert(file)).model, converted));
afterAll(() => rmSync(folder, { recursive: true }));

test("a converted model as the original", async () => {
  await expect(verify(converted, converted)).rejects.toMatchObject({ code: "already-converted" });
});

test("windows whose logits take gigabytes", async () => {
  await expect(verify(file, converted, { lengths: [64, 1e8] })).rejects.toMatchObject({
    code: "usage",
    remedy: expect.stringMatching(/at most \d{6,}/),
  });
});
