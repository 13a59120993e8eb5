/** What was chosen for every convolution, as a table; and what stands in the way, in words. */
import { type Claim, describeClaim } from "../../src/contract.ts";
import type { Certificate } from "../certify/certify.ts";
import type { Region } from "../find/region.ts";
import { type Model, sourceOf, whereOf } from "../graph/graph.ts";
import { type Form, type Kernels, stateChannels, stateOrder } from "../solve/form.ts";
import type { PositionUse, Refusal } from "../time/follow.ts";
import { byteSize, capital, escapeHtml, grouped, significant } from "./text.ts";

/** A convolution with what is known of it so far. */
export interface LayerInput {
  readonly region: Region;
  readonly kernels: Kernels;
  readonly form?: Form | undefined;
  /** Hankel singular values, falling. */
  readonly singularValues?: Float64Array | undefined;
  readonly certificate?: Certificate | undefined;
  /** Relative error of the form's kernels over its lags, Frobenius norm; taken from the certificate where there is one. */
  readonly error?: number | undefined;
  /** Why this form, in a sentence. */
  readonly because?: string | undefined;
  /** Orders and the errors that they would leave, by order. */
  readonly curve?: readonly { readonly order: number; readonly error: number }[] | undefined;
  /** How far it is known to be right. */
  readonly claim?: Claim | undefined;
}

export const lagsOfForm = (form: Form): number => (form.kind === "window" ? form.kernels.lags : form.lags);

/** Bytes of one sequence's state, float32. */
export const stateBytes = (form: Form): number => 4 * stateChannels(form) * stateOrder(form);

/** Relative error of a layer's kernels, where it is known; a window has none. */
export const errorOf = ({ certificate, error, form }: LayerInput): number | undefined =>
  certificate?.layer.relative ?? error ?? (form?.kind === "window" ? 0 : undefined);

/** All layers, one a row, with the reason under it; each number also in full, as the attribute `data-value`. */
export function layerTable(layers: readonly LayerInput[]): string {
  const decided = layers.some(({ form }) => form);
  const columns = [
    "",
    "Node",
    ...(decided ? ["Form", "Order", "Lags", "State", "Relative error"] : ["Channels", "Lags"]),
  ];
  const numbers = new Set(["Channels", "Order", "Lags", "State", "Relative error"]);
  const kind = (name: string, empty = false) =>
    [...(numbers.has(name) ? ["number"] : []), ...(empty ? ["empty"] : [])].join(" ");
  const cell = (name: string, html: string, value?: number | string) =>
    `<td${kind(name, html === "") ? ` class="${kind(name, html === "")}"` : ""} data-label="${name || "Convolution"}"${value === undefined ? "" : ` data-value="${escapeHtml(String(value))}"`}>${html && `<span>${html}</span>`}</td>`;
  const rows = layers.map((layer, i) => {
    const { region, form, kernels, because, claim } = layer;
    const error = errorOf(layer);
    const source = sourceOf(region.opening);
    const cells = [
      cell("", `<a href="#convolution-${i}">${i}</a>`),
      cell("Node", `<code>${escapeHtml(region.opening.name)}</code>${source ? `<br>${escapeHtml(source)}` : ""}`),
      ...(decided
        ? [
            cell("Form", form ? form.kind : "not decided", form?.kind),
            cell("Order", form ? grouped(stateOrder(form)) : "", form && stateOrder(form)),
            cell("Lags", grouped(form ? lagsOfForm(form) : kernels.lags), form ? lagsOfForm(form) : kernels.lags),
            cell("State", form ? byteSize(stateBytes(form)) : "", form && stateBytes(form)),
            cell("Relative error", error === undefined ? "" : significant(error), error),
          ]
        : [
            cell("Channels", grouped(region.channels), region.channels),
            cell("Lags", grouped(kernels.lags), kernels.lags),
          ]),
    ];
    // A sentence has no room beside seven columns
    const why =
      decided && because
        ? `<tr class="why"><td class="empty"></td><td colspan="${columns.length - 1}" data-label="Why"><span>${escapeHtml(because)}</span></td></tr>`
        : "";
    const claimed = claim
      ? `<tr class="why"><td class="empty"></td><td colspan="${columns.length - 1}" data-label="Claim" data-value="${claim.kind}"><span>Claim: ${escapeHtml(describeClaim(claim))}</span></td></tr>`
      : "";
    return `<tbody><tr>${cells.join("")}</tr>${why}${claimed}</tbody>`;
  });
  const head = columns
    .map((name) => `<th${kind(name) ? ` class="${kind(name)}"` : ""} scope="col">${name}</th>`)
    .join("");
  return `<table class="layers"><thead><tr>${head}</tr></thead>${rows.join("\n")}</table>`;
}

/** Every refusal: node, operator, source, reason, stable code, and what the user can do. */
export function refusalList(model: Pick<Model, "file">, refusals: readonly Refusal[]): string {
  const items = refusals.map(({ node, code, reason, remedy }) => {
    const { operator, source } = whereOf(model, node);
    const where = `<code>${escapeHtml(node.name)}</code> (${escapeHtml(operator ?? "")}${source ? `, ${escapeHtml(source)}` : ""})`;
    const words = `<p>${escapeHtml(capital(reason))}. <code>${code}</code></p>`;
    return `<li><p class="where">${where}</p>${words}${remedy ? `<p>${escapeHtml(remedy)}</p>` : ""}</li>`;
  });
  return `<ul class="refusals">${items.join("\n")}</ul>`;
}

/** Where streams meet functions of the absolute position. */
export function positionNote(positions: readonly PositionUse[]): string {
  if (positions.length === 0) return "";
  const names = positions.map(
    ({ node, tensor }) =>
      `<code>${escapeHtml(node.name)}</code> (${escapeHtml(node.op)}) reads <code>${escapeHtml(tensor)}</code>`,
  );
  return `<p>The model uses the absolute position: ${names.join("; ")}.</p>`;
}
