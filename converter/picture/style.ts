/** The report's style sheet: one column on a telephone, three figures side by side on a wide page, light, dark and on paper. */

/**
 * Colours after Okabe & Ito (jfly.uni-koeln.de/color), which readers with any colour vision tell apart; darker on white
 * and lighter on black where text is set in them. Nothing is said by colour alone.
 */
const LIGHT = `
  --paper: #ffffff; --ink: #1a1c20; --soft: #5b6068; --axis: #9aa0a8; --hair: #dfe2e6; --tint: #f5f6f8;
  --blue: #0068a8; --orange: #c05500; --green: #007a58; --purple: #8d3f86; --red: #b3202a;
  --band: #e3ebf2; --band-inner: #bcd1e2; --faint: #a9b0b8; --wire: #6c737c;
  --blue-tint: #eaf3fa; --red-tint: #fcedec; --orange-tint: #fdf3e8; --green-tint: #e9f6f1;`;

const DARK = `
  --paper: #14161a; --ink: #e8eaed; --soft: #a3a9b2; --axis: #6d747d; --hair: #2e3238; --tint: #1c1f24;
  --blue: #6cb8ee; --orange: #f09a4a; --green: #45c9a0; --purple: #d58fcf; --red: #ff8078;
  --band: #24303b; --band-inner: #36506a; --faint: #59616b; --wire: #8a929c;
  --blue-tint: #172633; --red-tint: #35191b; --orange-tint: #33230f; --green-tint: #12302a;`;

export const STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media screen and (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 "Source Sans 3", "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; font-kerning: normal; }
main { max-width: 1368px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; font-weight: 650; letter-spacing: -0.01em; margin: 0 0 8px; overflow-wrap: anywhere; text-wrap: balance; }
h2 { font-size: 21px; line-height: 1.25; font-weight: 650; margin: 0 0 4px; overflow-wrap: anywhere; }
h3 { font-size: 15px; line-height: 1.3; font-weight: 650; margin: 0; }
p { margin: 0 0 10px; max-width: 72ch; }
.lead { font-size: 18px; line-height: 1.45; color: var(--soft); max-width: 64ch; }
.lead strong { color: var(--ink); font-weight: 650; }
.soft, figcaption p, .key { color: var(--soft); }
section { margin-top: 44px; padding-top: 22px; border-top: 1px solid var(--hair); }
code { font: 0.86em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; unicode-bidi: isolate; overflow-wrap: anywhere; }
.overview { display: grid; grid-template-columns: minmax(0, 1fr); gap: 36px 44px; }
.figures { display: grid; grid-template-columns: minmax(0, 1fr); gap: 28px 24px; margin-top: 18px; }
@media (min-width: 760px) { .figures { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
.figures.two { margin: 30px 0 20px; }
@media (min-width: 1080px) {
  .overview { grid-template-columns: minmax(0, 424px) minmax(0, 1fr); }
  .figures.two { grid-template-columns: minmax(0, 480px); }
}
@media (min-width: 1180px) { .figures:not(.two) { grid-template-columns: repeat(3, minmax(0, 1fr)); } }
@media (min-width: 1320px) { .figures.two { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
figure { margin: 0; break-inside: avoid; }
figcaption { margin-bottom: 6px; }
figcaption p { font-size: 13.5px; line-height: 1.4; margin: 1px 0 0; }
figure svg, svg.path { display: block; width: 100%; height: auto; overflow: visible; }
.figures figure { display: flex; flex-direction: column; justify-content: space-between; }
.plot { font-family: inherit; font-size: 11.5px; color: var(--ink); font-variant-numeric: tabular-nums; }
.plot text { white-space: pre; }
.plot [stroke="var(--paper)"] { paint-order: stroke; }
.path { font-size: 12px; }
.path .name { font-weight: 650; fill: var(--ink); }
.path .note { font-size: 11.5px; fill: var(--soft); }
.path .code { font: 10.8px ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; fill: var(--soft); }
.path rect { fill: var(--paper); stroke: var(--axis); stroke-width: 1; }
.path .pointwise rect { fill: var(--tint); stroke: var(--hair); }
.path .input rect, .path .output rect { fill: none; }
.path .input .code, .path .output .code { fill: var(--ink); }
.path .convolution rect { fill: var(--blue-tint); stroke: var(--blue); stroke-width: 1.6; }
.path .kept rect { fill: var(--green-tint); stroke: var(--green); stroke-width: 1.6; }
.path .refused rect { fill: var(--red-tint); stroke: var(--red); stroke-width: 2; }
.path .refused .name { fill: var(--red); }
.path .refused .note, .path .refused .code { fill: var(--ink); }
.path .mixed rect { fill: var(--orange-tint); stroke: var(--orange); stroke-dasharray: 5 3; }
.path .beyond rect { fill: none; stroke-dasharray: 2 3; }
.path .wire { fill: none; stroke: var(--wire); stroke-width: 1.3; }
.path .wire.open { stroke-dasharray: 3 3; }
.path .stop circle { fill: var(--red); }
.path .stop path { fill: none; stroke: var(--paper); stroke-width: 2; stroke-linecap: round; }
.path .miniature { fill: none; stroke: var(--blue); stroke-width: 1.4; stroke-linejoin: round; }
table { border-collapse: collapse; width: 100%; font-size: 14.5px; line-height: 1.4; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 13px; }
th, td { padding: 7px 14px 3px 0; vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
thead th { border-bottom: 1px solid var(--axis); vertical-align: bottom; }
tbody { border-bottom: 1px solid var(--hair); }
tr:last-child > * { padding-bottom: 7px; }
.why td { padding-top: 0; color: var(--soft); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.refusals { list-style: none; margin: 0 0 24px; padding: 0; }
.refusals li { border-left: 4px solid var(--red); background: var(--red-tint); padding: 10px 14px; margin-bottom: 10px; }
.refusals p { margin: 0; max-width: none; }
.refusals p + p { margin-top: 4px; }
.refusals .where { font-weight: 650; }
.key { font-size: 13.5px; margin-top: 12px; }
.about { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 3px 18px; margin: 10px 0 0; font-size: 13.5px; }
.about dd { margin: 0; overflow-wrap: anywhere; }
.about dt { color: var(--soft); }
tfoot td { padding-top: 7px; text-align: right; }
table + h2, details + h2 { margin-top: 30px; }
.offers { width: auto; margin: 6px 0 10px; }
.plot .hover rect:hover { fill: var(--axis); fill-opacity: 0.22; }
details { font-size: 13.5px; margin-top: 10px; color: var(--soft); }
summary { cursor: pointer; }
details code { line-height: 1.6; }
a { color: var(--blue); }
@media screen and (max-width: 759px) {
  main { padding: 22px 16px 48px; }
  h1 { font-size: 25px; }
  section { margin-top: 32px; padding-top: 18px; }
  table, tbody, tr, td { display: block; }
  tfoot td { display: block; text-align: left; }
  thead { display: none; }
  tbody { padding: 10px 0; }
  td, td.number, tr:last-child td { display: grid; grid-template-columns: 112px minmax(0, 1fr); text-align: left; white-space: normal; border: 0; padding: 1px 0; }
  td::before { content: attr(data-label); color: var(--soft); }
  td.empty { display: none; }
}
@media print {
  :root { ${LIGHT} }
  @page { margin: 14mm; }
  body { font-size: 10.5pt; }
  main { padding: 0; max-width: none; }
  section.layer { break-before: page; }
  .overview { grid-template-columns: minmax(0, 1fr); }
  .figures, .figures.two, .figures:not(.two) { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  svg.path { break-inside: avoid; }
  table { font-size: 8.5pt; }
  th { font-size: 8pt; }
  th, td { padding-right: 8px; }
  tbody { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
