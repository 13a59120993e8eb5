/** The page's settings: what they are, and in words what they cannot be. */
import type { Settings } from "./messages.ts";

export const element = <T extends Element>(id: string): T => document.getElementById(id) as unknown as T;

const prompt = element<HTMLTextAreaElement>("prompt");
const temperature = element<HTMLInputElement>("temperature");
const topP = element<HTMLInputElement>("top-p");
const seed = element<HTMLInputElement>("seed");
const count = element<HTMLInputElement>("count");
const compare = element<HTMLInputElement>("compare");

const MOST_TOKENS = 100_000;
const MOST_SEED = 2 ** 32 - 1;

/** Says at each field what is wrong with it; the browser shows it. */
export function validate(hasTokenizer: boolean): void {
  const ids = /^\s*\d+([\s,]+\d+)*\s*$/.test(prompt.value);
  const empty = prompt.value.trim() === "" ? "Write a few words for the text to begin with." : "";
  prompt.setCustomValidity(hasTokenizer ? empty : ids ? "" : "Write token ids: numbers, such as 3 1 4.");
  const whole = (input: HTMLInputElement, least: number, most: number) =>
    Number.isInteger(input.valueAsNumber) && input.valueAsNumber >= least && input.valueAsNumber <= most;
  count.setCustomValidity(whole(count, 1, MOST_TOKENS) ? "" : "How many tokens? A whole number from 1 to 100 000.");
  const anySeed = seed.value === "" && !seed.validity.badInput;
  seed.setCustomValidity(
    anySeed || whole(seed, 0, MOST_SEED) ? "" : "A whole number from 0 to 4 294 967 295, or nothing for any.",
  );
}

/** The settings; where no seed is given, one that has just been drawn. */
export function settings(): Settings {
  return {
    temperature: temperature.valueAsNumber,
    topP: topP.valueAsNumber,
    seed: seed.value === "" ? crypto.getRandomValues(new Uint32Array(1))[0]! : seed.valueAsNumber,
    maxNewTokens: count.valueAsNumber,
    compare: compare.checked && !element<HTMLElement>("compare-label").hidden,
  };
}

/** Shows the values of the sliders beside them. */
export function showValues(): void {
  element("temperature-value").textContent = temperature.valueAsNumber.toFixed(1);
  element("top-p-value").textContent = topP.valueAsNumber.toFixed(2);
}
