"""The style sheet of the page."""

__all__ = ["STYLE"]

STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4;
  --tint: #f6f8fa; --accent: #00598c; --paper: #fdf6e3; }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0; color: var(--ink); background: #fff; line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
header, main, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 36px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.45rem; margin: 3rem 0 .3rem; padding-top: 1.2rem;
  border-top: 2px solid var(--ink); line-height: 1.25; }
h3 { font-size: 1.1rem; margin: 2.2rem 0 .5rem; }
h1, h2, h3, p, li, figcaption, caption { overflow-wrap: anywhere; }
p, ul { max-width: 46rem; margin: .5rem 0; }
ul { padding-left: 1.2rem; }
a { color: var(--accent); }
a:focus-visible, [tabindex]:focus-visible, summary:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px; }
.lead { color: var(--soft); }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 8px; top: 8px; background: #fff; padding: 8px; z-index: 2; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem;
  max-width: none; }
.note { border-left: 4px solid #b35c00; background: #fff8ee; padding: .5rem .9rem;
  max-width: 46rem; margin: .7rem 0; }
.note p { margin: .2rem 0; }
.scroll { overflow-x: auto; margin: .8rem 0 1.2rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0 0 .4rem; }
th, td { padding: .36rem .55rem; text-align: right; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { font-weight: 600; color: var(--soft); vertical-align: bottom; background: #fff;
  line-height: 1.25; }
thead tr.groups :is(th, td) { border-bottom: 0; }
thead tr.groups th { padding-bottom: 0; color: var(--ink); }
th[scope=row], thead th:first-child { text-align: left; }
th[scope=row] { font-weight: 600; overflow-wrap: break-word; min-width: 5.6rem; }
th small { display: block; font-weight: 400; color: var(--soft); line-height: 1.25; }
td span { white-space: nowrap; }
td .pm { color: var(--soft); font-weight: 400; }
td { white-space: nowrap; } .facts td { white-space: normal; }
.pair td .pm { display: block; }
.wide caption span { position: sticky; left: 0; display: inline-block;
  max-width: min(100%, calc(100vw - 34px)); }
.paper { background: var(--paper); }
.above { color: #00694c; font-weight: 600; }
.below { color: #a33b00; font-weight: 600; }
.wide table { min-width: 50rem; }
.wide th[scope=row], .wide thead th:first-child { position: sticky; left: 0; background: #fff; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 2.2rem; }
figure { margin: .6rem 0 1.2rem; }
figure img { display: block; width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: .88rem; margin-top: .3rem; }
.facts th { width: 8rem; vertical-align: top; }
.facts td { text-align: left; overflow-wrap: anywhere; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
footer { margin-top: 3rem; padding-bottom: 2.5rem; color: var(--soft); font-size: .9rem; }
@media screen and (max-width: 960px) { .pair { grid-template-columns: minmax(0, 1fr); } }
@media screen and (max-width: 760px) {
  header, main, footer { padding-left: 16px; padding-right: 16px; }
  header { padding-top: 20px; }
  h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; }
  table { font-size: .8rem; } th, td { padding: .3rem .3rem; }
}
@media print {
  @page { margin: 14mm; }
  body { font-size: 10pt; }
  header, main, footer { max-width: none; padding: 0; }
  nav, .skip { display: none; }
  figure, table, .note { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
  h2 { break-before: page; } main > section:first-child h2 { break-before: auto; }
  .scroll { overflow: visible; } table, .wide table { min-width: 0; font-size: 8pt; }
  th, td { padding: 2pt 3pt; } .pair { gap: 0 14pt; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""
