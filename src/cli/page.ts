/** The page of `inspect --html` and of `convert --html`: what was found, and the forms that were or would be chosen. */
import type { Chosen } from "../../converter/choose/chosen.ts";
import { firstLags } from "../../converter/choose/horizon.ts";
import type { Candidate } from "../../converter/find/candidates.ts";
import type { Found } from "../../converter/find/found.ts";
import { LOOKED_AT_LAGS } from "../../converter/find/kernel.ts";
import type { SizedState } from "../../converter/find/sizes.ts";
import type { LayerInput } from "../../converter/picture/table.ts";
import { errorCurve } from "../../converter/reduce/curve.ts";
import { sha256OfFile } from "../../converter/source.ts";
import { CONVERTER_VERSION } from "../../converter/version.ts";
import { leastClaim } from "../contract.ts";
import type { Terminal } from "./terminal.ts";

/** What the page shows. */
export interface Shown {
  /** The model's file. */
  readonly file: string;
  readonly found: Found;
  readonly candidates: readonly Candidate[];
  /** In the order of the candidates; none where the model would not be converted. */
  readonly forms: readonly Chosen[];
  /** The parts of the state. */
  readonly states: readonly SizedState[];
  /** Relative error that was asked for; undefined where an order or a size was. */
  readonly tolerance: number | undefined;
}

/** Orders beyond are drawn only where one was chosen. */
const MOST_ORDER = 64;

/** The page, complete. */
export async function pageOf(
  terminal: Terminal,
  { file, found, candidates, forms, states, tolerance }: Shown,
): Promise<string> {
  const { htmlReport } = await import("../../converter/picture/report.ts");
  const layers: LayerInput[] = [];
  for (const [i, { region, source }] of candidates.entries()) {
    terminal.progress("drawing", i, candidates.length);
    const chosen = forms[i];
    const kernels = await source.at(2 * (chosen?.lags ?? LOOKED_AT_LAGS / 2));
    const claim = chosen ? leastClaim([source.claim, chosen.claim]) : source.claim;
    const singularValues = chosen?.reduction?.singularValues;
    const lags = Math.min(kernels.lags, chosen?.lags ?? kernels.lags);
    const most = Math.max(MOST_ORDER, chosen?.reduction?.order ?? 0);
    layers.push({
      ...chosen,
      region,
      kernels,
      singularValues,
      claim,
      curve: chosen?.form.kind === "window" ? undefined : errorCurve(firstLags(kernels, lags), most),
    });
  }
  const command = `longconv-ssm ${process.argv.slice(2).map(quoted).join(" ")}`;
  const about = { version: CONVERTER_VERSION, date: new Date(), sha256: await sha256OfFile(file), command };
  return htmlReport({ title: file, found, layers, states, tolerance, about });
}

/** As a shell takes it. */
const quoted = (word: string): string => (/^[\w./:=@,+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
