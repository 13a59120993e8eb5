/** Milliseconds per token against the position, on a logarithmic axis: two curves, drawn as SVG. */

export interface Sample {
  readonly position: number;
  readonly ms: number;
}

/** Positions that one point of the converted model's line stands for: their median. */
const BIN = 16;
/** The names of the curves are above them. */
const MARGIN = { left: 58, right: 22, top: 46, bottom: 40 };

/** Draws both curves into the element, at its own size. */
export function drawPlot(svg: SVGSVGElement, converted: readonly Sample[], exported: readonly Sample[]): void {
  const { width, height } = svg.getBoundingClientRect();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const all = [...converted, ...exported];
  const last = niceEnd(all.reduce((most, { position }) => Math.max(most, position), 128));
  const times = all.map(({ ms }) => Math.max(ms, 0.05));
  const low = Math.floor(Math.log10(Math.min(1, ...times)));
  const high = Math.ceil(Math.log10(Math.max(10, ...times)));
  const x = (position: number) => MARGIN.left + (position / last) * (width - MARGIN.left - MARGIN.right);
  const y = (ms: number) => {
    const part = (Math.log10(Math.max(ms, 0.05)) - low) / (high - low);
    return height - MARGIN.bottom - part * (height - MARGIN.top - MARGIN.bottom);
  };
  const parts: string[] = [];
  for (let power = low; power <= high; power++) {
    const at = y(10 ** power);
    parts.push(`<line class="grid" x1="${MARGIN.left}" x2="${width - MARGIN.right}" y1="${at}" y2="${at}"/>`);
    parts.push(`<text x="${MARGIN.left - 8}" y="${at + 4}" text-anchor="end">${duration(10 ** power)}</text>`);
  }
  for (let k = 0; k <= 4; k++) {
    const position = (last / 4) * k;
    parts.push(`<text x="${x(position)}" y="${height - 20}" text-anchor="middle">${position}</text>`);
  }
  parts.push(
    `<text x="${(width + MARGIN.left) / 2}" y="${height - 4}" text-anchor="middle">position in the text, tokens</text>`,
  );
  const curve = (samples: readonly Sample[], kind: string, name: string, row: number) => {
    if (samples.length === 0) return;
    parts.push(`<line class="${kind}" x1="0" x2="18" y1="${12 + row}" y2="${12 + row}"/>`);
    parts.push(`<text class="${kind}" x="26" y="${16 + row}">${name}</text>`);
    const points = samples.map(({ position, ms }) => `${x(position).toFixed(1)},${y(ms).toFixed(1)}`).join(" ");
    parts.push(`<polyline class="${kind}" points="${points}"/>`);
  };
  const dot = (kind: string, radius: number) => (sample: Sample) =>
    `<circle class="dot ${kind}" cx="${x(sample.position).toFixed(1)}" cy="${y(sample.ms).toFixed(1)}" r="${radius}"/>`;
  const step = Math.ceil(converted.length / 800);
  parts.push(...converted.filter((_, k) => k % step === 0).map(dot("converted", 1.5)));
  parts.push(...exported.map(dot("exported", 3.5)));
  curve(medians(converted), "converted", "converted, one step", 0);
  curve(exported, "exported", "exported graph, run again", 17);
  svg.innerHTML = parts.join("");
}

/** A sentence for those who cannot see the plot, and for everyone under it. */
export function summary(converted: readonly Sample[], exported: readonly Sample[]): string {
  const line = medians(converted);
  if (line.length < 2) return "Measuring…";
  const figure = ({ position, ms }: Sample) => `${duration(ms)} at position ${position}`;
  const own = `A step of the converted model takes ${figure(line[0]!)} and ${figure(line.at(-1)!)}.`;
  if (exported.length < 2) return own;
  return `${own} The exported graph, run again over the whole text, takes ${figure(exported[0]!)} and ${figure(exported.at(-1)!)}.`;
}

/** The first sample has read the prompt, too. */
function medians(samples: readonly Sample[]): Sample[] {
  const result: Sample[] = [];
  for (let from = 1; from + BIN / 2 <= samples.length; from += BIN) {
    const bin = samples.slice(from, from + BIN);
    const sorted = bin.map(({ ms }) => ms).sort((a, b) => a - b);
    result.push({ position: bin[bin.length >> 1]!.position, ms: sorted[sorted.length >> 1]! });
  }
  return result;
}

/** Two digits are as many as such a measurement has. */
const duration = (ms: number): string =>
  ms >= 1000 ? `${Number((ms / 1000).toPrecision(2))} s` : `${Number(ms.toPrecision(2))} ms`;

/** A round number of positions from `last` up, in quarters that are round as well. */
function niceEnd(last: number): number {
  const unit = 2 ** Math.floor(Math.log2(last)) / 4;
  return Math.ceil(last / unit) * unit;
}
