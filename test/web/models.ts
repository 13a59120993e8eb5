/** Converted models for the browser, in a temporary folder each. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Conversion, ConvertOptions } from "../../converter/conversion.ts";
import { convert } from "../../converter/convert.ts";
import { lookBeside } from "../../converter/output/beside.ts";
import { writeOutput } from "../../converter/output/output.ts";
import { targetOf } from "../../converter/output/target.ts";
import type { Claim } from "../../src/contract.ts";
import { claiming } from "../claims.ts";
import type { TestModel } from "../testdata.ts";

export interface ConvertedFolders {
  /** Has a folder for every model, by name. */
  readonly folder: string;
  readonly conversions: ReadonlyMap<string, Conversion>;
  remove(): Promise<void>;
}

/**
 * Converts models to folders, each with the file for one token unless `options` say otherwise.
 * @param claim instead of what the converter claims
 */
export async function convertFolders(
  models: readonly TestModel[],
  options: ConvertOptions = {},
  claim?: Claim,
): Promise<ConvertedFolders> {
  const folder = await mkdtemp(path.join(tmpdir(), "longconv-web-"));
  const conversions = new Map<string, Conversion>();
  for (const { name, file } of models) {
    const conversion = await convert(file, { stepFile: true, ...options });
    conversions.set(name, conversion);
    const { model, step } = conversion;
    await writeOutput(
      claim ? claiming(model, claim) : model,
      await lookBeside(file),
      targetOf(path.join(folder, name)),
      { step },
    );
  }
  return { folder, conversions, remove: () => rm(folder, { recursive: true }) };
}
