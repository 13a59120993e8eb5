/**
 * Something like a voice, and noise: pulses of a glottis through the resonances of vowels, with breath and consonants. No recording, so
 * nobody's.
 */
import { SAMPLE_RATE } from "./spectrum.js";

/** The first formants of the vowels, in Hz, and how wide they are. */
const VOWELS = {
  a: [730, 1090, 2440, 3400],
  e: [530, 1840, 2480, 3500],
  i: [270, 2290, 3010, 3700],
  o: [570, 840, 2410, 3300],
  u: [300, 870, 2240, 3200],
};
const WIDTHS = [80, 100, 140, 200];
const SYLLABLES = [..."auoieoea"];
/** Syllables a second, and the share of each that is its consonant. */
const PACE = 4.3;
const CONSONANT = 0.18;
/** Seconds from one phrase to the next, and of it spoken. */
const PHRASE = 2.2;
const SPOKEN = 1.8;
/** Share of a pulse in which the glottis is open. */
const OPEN = 0.6;

/** @returns the voice alone, and with noise, of so many seconds: the same for the same seed */
export function voiceInNoise(seconds, seed = 1) {
  const random = randomNumbers(seed);
  const voice = new Float32Array(Math.round(seconds * SAMPLE_RATE));
  const mouth = resonances();
  let [phase, jitter, flow] = [0, 0, 0];
  for (let i = 0; i < voice.length; i++) {
    const at = (i / SAMPLE_RATE) * PACE;
    const [syllable, within, phrase] = [Math.floor(at), at % 1, (i / SAMPLE_RATE) % PHRASE];
    phase += ((118 + 30 * (1 - phrase / SPOKEN) + 12 * Math.sin(Math.PI * at)) * (1 + jitter)) / SAMPLE_RATE;
    if (phase >= 1) [phase, jitter] = [phase - 1, 0.012 * random()];
    const before = flow;
    flow = phase < OPEN ? 6.75 * (phase / OPEN) ** 2 * (1 - phase / OPEN) : 0;
    const { loud, hiss } = phrase < SPOKEN ? partOf(syllable, within) : { loud: 0, hiss: 0 };
    const source = 20 * (flow - before) * loud + random() * (0.004 * loud + hiss);
    voice[i] = mouth(source, VOWELS[SYLLABLES[syllable % SYLLABLES.length]]);
  }
  const scale = 0.5 / voice.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let i = 0; i < voice.length; i++) voice[i] *= scale;
  return { voice, noisy: voice.map((value) => value + 0.1 * random()) };
}

/** How loud the glottis and the consonant are; every other syllable begins with one that hisses. */
const partOf = (syllable, within) =>
  within < CONSONANT
    ? { loud: 0.15, hiss: syllable % 2 ? 0.08 * Math.sin((Math.PI * within) / CONSONANT) : 0 }
    : { loud: Math.sin((Math.PI * (within - CONSONANT)) / (1 - CONSONANT)) ** 0.6, hiss: 0 };

/** Resonances one behind the other, which glide to where a vowel has them. */
function resonances() {
  const at = [...VOWELS.a];
  const memory = WIDTHS.map(() => [0, 0]);
  return (source, vowel) => {
    let value = source;
    for (const [k, kept] of memory.entries()) {
      at[k] += (vowel[k] - at[k]) * 0.0006;
      const radius = Math.exp((-Math.PI * WIDTHS[k]) / SAMPLE_RATE);
      const turn = 2 * radius * Math.cos((2 * Math.PI * at[k]) / SAMPLE_RATE);
      value = (1 - turn + radius ** 2) * value + turn * kept[0] - radius ** 2 * kept[1];
      [kept[0], kept[1]] = [value, kept[0]];
    }
    return value;
  };
}

/** From -1 to 1. */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}
