/** What a script is given on its command line. What it does not know it refuses, with its usage and exit code 2. */

import { type ParseArgsConfig, parseArgs } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** Values of the options and the words between them. */
type Given<T extends Options> = ReturnType<
  typeof parseArgs<{ options: T; strict: true; allowPositionals: true; args: string[] }>
>;

/** How many words there may be beside the options. */
interface Words {
  readonly least?: number;
  readonly most?: number;
}

/**
 * The command line of a script; ends the process with exit code 2 where it holds an unknown option, an option without its
 * value, or another number of words than there may be, and with 0 after `--help`.
 *
 * @param usage the script's name and what it takes
 * @param options as for parseArgs of node:util
 */
export function readArguments<const T extends Options>(
  usage: string,
  options: T,
  { least = 0, most = 0 }: Words = {},
): Given<T> {
  const args = process.argv.slice(2);
  if (args.includes("--help")) {
    console.log(`usage: ${usage}`);
    process.exit(0);
  }
  let given: Given<T>;
  try {
    given = parseArgs({ options, strict: true, allowPositionals: true, args });
  } catch (error) {
    return refuse((error as Error).message, usage);
  }
  const count = given.positionals.length;
  if (count > most) refuse(`'${given.positionals[most]}' is not understood`, usage);
  if (count < least) refuse("something is missing", usage);
  return given;
}

/** For a script that takes no arguments. @throws as {@link readArguments} */
export function noArguments(name: string): void {
  readArguments(name, {});
}

/** A whole number of at least 1; ends the process with exit code 2 where it is none. */
export function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value >= 1 ? value : refuse(`${name} is a whole number from 1, not '${text}'`);
}

/** One of some words; ends the process with exit code 2 where it is another. */
export function oneOf<const T extends string>(name: string, words: readonly T[], text: string): T {
  return words.find((word) => word === text) ?? refuse(`${name} is ${words.join(" or ")}, not '${text}'`);
}

/** Says what is wrong with the command line and ends the process with exit code 2. */
export function refuse(reason: string, usage?: string): never {
  console.error(usage ? `${reason}\nusage: ${usage}` : reason);
  process.exit(2);
}
