/** Messages in the words of the command line: an option is named in backticks as programs know it, and shown as it is typed. */
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { LongConvError } from "../errors.ts";

/** The command's options by their names in the API. */
const OPTIONS: Readonly<Record<string, string>> = {
  beyond: "--beyond",
  budget: "--budget",
  cacheCapacity: "--cache-capacity",
  checkTolerance: "--check-tolerance",
  endTokens: "--end-token",
  exact: "--exact",
  executionProviders: "--provider",
  force: "--force",
  horizon: "--horizon",
  inputIds: "--ids",
  inputName: "--input-name",
  lengths: "--lengths",
  maxNewTokens: "--max-new-tokens",
  maxState: "--max-state",
  memory: "--memory",
  minP: "--min-p",
  order: "--order",
  outputName: "--output-name",
  repetitionPenalty: "--repetition-penalty",
  require: "--require",
  states: "--state",
  stopTokens: "--stop-token",
  temperature: "--temperature",
  timeAxis: "--time-axis",
  timeout: "--timeout",
  tolerance: "--tolerance",
  topK: "--top-k",
  topP: "--top-p",
  trainingLength: "--training-length",
  weights: "--weights",
};

/** Names of options in backticks, and without them those that are no English words. */
const inWords = (text: string): string =>
  text.replace(/`(\w+)`|\b[a-z]+[A-Z]\w*\b/g, (found, name: string = found) => OPTIONS[name] ?? found);

/** The error as the command shows it. */
export const inWordsOfCommand = ({ code, reason, where, remedy, cause }: LongConvError): LongConvError =>
  new LongConvError(code, inWords(reason), where, remedy && inWords(remedy), cause);

/** Where the code of an error is explained: a file of the package, as the reader's folder sees it. */
export function pageOf(code: string): string {
  // from src/cli in a checkout, from dist/src/cli in a package
  const places = ["../../docs/errors.md", "../../../docs/errors.md"].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  const file = places.find((place) => existsSync(place)) ?? "docs/errors.md";
  const near = path.relative("", file);
  return `${near.split(path.sep)[0] === ".." ? file : near}#${code}`;
}
