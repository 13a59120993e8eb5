/** Text of the report: escaped names, and numbers as a reader of papers expects them. */

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as HTML or SVG content or attribute value; control characters, which neither may hold, become U+FFFD. */
export const escapeHtml = (text: string): string =>
  text.replace(/(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/gu, "\ufffd").replace(/[&<>"']/g, (c) => ENTITIES[c]!);

/** 12345 -> "12 345", with thin spaces that do not break. */
export const grouped = (value: number): string => {
  const text = String(value);
  return /^\d{5,}$/.test(text) ? text.replace(/\B(?=(\d{3})+$)/g, "\u202f") : text;
};

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** An exponent in superscript characters: -5 -> "⁻⁵". */
const superscript = (exponent: number): string =>
  (exponent < 0 ? "⁻" : "") + String(Math.abs(exponent)).replace(/\d/g, (digit) => SUPERSCRIPTS[Number(digit)]!);

/** Label of a tick on a logarithmic axis: powers of ten, "" between them. */
export const powerOfTen = (value: number): string => {
  const exponent = Math.log10(value);
  if (Math.abs(exponent - Math.round(exponent)) > 1e-9) return "";
  return `10${superscript(Math.round(exponent))}`;
};

/** Two significant digits: 0.0000123 -> "1.2 × 10⁻⁵", in one line, 0.31 -> "0.31", 0 -> "0". */
export function significant(value: number, digits = 2): string {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : Number.isNaN(value) ? "not a number" : "−∞";
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e") as [string, string];
  const power = Number(exponent);
  if (power >= -2 && power < 4)
    return (power < digits ? Number(`${mantissa}e${power}`) : Math.round(value)).toString().replace("-", "−");
  return `${mantissa.replace("-", "−")}\u00a0×\u00a010${superscript(power)}`;
}

/** 150000 -> "150 kB", the digits and units of the command line. */
export function byteSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB"];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? grouped(Math.round(value)) : value.toFixed(1)}\u00a0${units[power]}`;
}

/** "1 node", "3 nodes". */
export const count = (number: number, noun: string): string => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;

/** "compact" -> "Compact". */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** At most `length` characters, cut at the end with an ellipsis. */
export const shortened = (text: string, length: number): string => {
  const characters = [...text];
  return characters.length <= length ? text : `${characters.slice(0, Math.max(1, length - 1)).join("")}…`;
};

/** Lines of at most `length` characters, broken at spaces, inside a word only where it is longer than a line. */
export function wrapped(text: string, length: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).flatMap((part) => part.match(new RegExp(`.{1,${length}}`, "gu")) ?? [])) {
    if (line && line.length + 1 + word.length > length) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  if (line) lines.push(line);
  return lines;
}

/** A share from 0 to 1 in percent: 0.254 -> "25 %", 0.0042 -> "0.42 %". */
export const percent = (share: number): string =>
  `${share >= 0.995 || share === 0 ? Math.round(100 * share) : Number((100 * share).toPrecision(2))} %`;
