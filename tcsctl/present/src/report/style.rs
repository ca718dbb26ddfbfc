//! How a report looks in a browser, light and dark, and on paper.

/// The style sheet.
pub(super) const STYLE: &str = r":root { color-scheme: light dark; --page: #fff; --text: #1b1f24; --dim: #5a636d; --line: #d0d7de;
  --good: #1a7f37; --warn: #9a6700; --bad: #cf222e; --moving: #0969da; --idle: #afb8c1; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --text: #e6edf3; --dim: #9da7b1;
  --line: #30363d; --good: #3fb950; --warn: #d29922; --bad: #f85149; --moving: #58a6ff;
  --idle: #484f58; } }
@media print { :root { --page: #fff; --text: #000; --dim: #444; --line: #999; --good: #1a7f37;
  --warn: #9a6700; --bad: #b00020; --moving: #0550ae; --idle: #bbb; } }
body { background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif;
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; border-bottom: 1px solid var(--line);
  margin-top: 2rem; } h3 { font-size: 1rem; margin: 1rem 0 .2rem; font-weight: 600; }
ul { margin: .2rem 0; padding-left: 1.4rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .15rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  white-space: nowrap; overflow-wrap: normal; } .right { text-align: right; }
th { vertical-align: bottom; } th:first-child { width: 99%; }
td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 9rem; }
.dim { color: var(--dim); } .good { color: var(--good); } .warn { color: var(--warn); }
.bad { color: var(--bad); } .moving { color: var(--moving); } .strong { font-weight: 600; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--text);
  font: 11px system-ui, sans-serif; } svg .scale { fill: var(--dim); } svg line { stroke: var(--line); }
svg .v-ok { fill: var(--good); opacity: .55; } svg .v-degraded, svg .v-late, svg .v-restarting
  { fill: var(--warn); } svg .v-failed, svg .v-lost, svg .v-error { fill: var(--bad); }
svg .v-starting, svg .v-stopping { fill: var(--moving); } svg .v-stopped, svg .v-unknown
  { fill: var(--idle); } svg .gap { fill: var(--dim); opacity: .25; }
svg .restart { fill: var(--text); }
@media print { body { max-width: none; font-size: 10pt; margin: 0; padding: 0; }
  h3, tr, li { break-inside: avoid; } h2, h3 { break-after: avoid; } svg { break-inside: avoid; }
  .wide { overflow-x: visible; } table { font-size: 8pt; } th, td { padding: .1rem .3rem; }
  th { white-space: normal; min-width: 2.6rem; } td:first-child { min-width: 6rem; }
  svg rect { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
";
