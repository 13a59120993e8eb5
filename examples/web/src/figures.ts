/** Figures on the page, and how they are written. */
import { element } from "./form.ts";

export function figure(id: string, value: string): void {
  element(id).textContent = value;
}

export const bytes = (count: number): string =>
  count < 1e6 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(1)} MB`;

export function perSecond(count: number, ms: number): string {
  const rate = (1000 * count) / ms;
  return rate.toFixed(rate < 10 ? 1 : 0);
}

/** "onnxruntime-web (WebGPU, graph capture)" without the library's name. */
export const providerOf = (backend: string): string => backend.replace(/.*\((.*)\)/, "$1");
