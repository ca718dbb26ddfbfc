// The timeline of the last hour.
const HOUR = 3600000;

// Read once in a while; what changes meanwhile is added as it comes.
async function readPast() {
  if (document.hidden) { setTimeout(readPast, 30000); return; }
  try {
    const reply = await fetch("api/v1/timeline?since=1h");
    if (!reply.ok) throw new Error(await reply.text());
    past = await reply.json();
    // what lasted at its end goes on
    for (const { spans } of past.services) {
      if (spans.at(-1)?.until === past.to) spans.at(-1).until = null;
    }
    for (const service of services.values()) notePast(service);
    drawPast();
  } catch (error) {
    if (!past) put(at("past-none"), `The past could not be read: ${error.message}`);
    at("past-none").hidden = !!past;
  }
  setTimeout(readPast, past ? 300000 : 30000);
}

function notePast(service) {
  if (!past) return;
  let row = past.services.find((it) => it.id === service.id);
  if (!row && service.verdict === "stopped") return;
  if (!row) past.services.push(row = { id: service.id, host: service.host, spans: [] });
  const last = row.spans.at(-1);
  if (last?.verdict === service.verdict) return;
  const from = service.since ?? new Date(now()).toISOString();
  if (last) last.until = from;
  row.spans.push({ verdict: service.verdict, from, until: null, cause: service.cause });
  laterPast();
}

let drawingPast = 0;
const laterPast = () => { drawingPast ||= setTimeout(() => { drawingPast = 0; drawPast(); }, 500); };
setInterval(() => past && drawPast(), 30000);

const WIDTH = 1000, ROW = 16;

function drawPast() {
  const [names, row, head] = innerWidth < 640 ? [420, 34, 36] : [220, ROW, 20];
  const all = at("past-all").checked && !document.body.classList.contains("wall");
  const to = now(), from = to - HOUR;
  const end = (one) => (one.until ? Date.parse(one.until) : to);
  const shown = past.services.filter((it) => isHere(it.host) && (all || it.spans.some((one) => FAULTS.has(one.verdict) && end(one) > from)));
  at("past-none").hidden = shown.length > 0;
  put(at("past-none"), "No problems in the last hour.");
  const chart = at("chart");
  chart.replaceChildren();
  put(at("legend"), "");
  if (!shown.length) return;
  const x = (time) => names + Math.min(1, Math.max(0, (time - from) / (to - from))) * (WIDTH - names);
  const height = head + shown.length * row + 4;
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img",
    "aria-label": `timeline of the last hour, ${count(shown.length, "service")}; the page of each has the same in words` });
  const step = (innerWidth < 640 ? 30 : 10) * 60000;
  for (let time = Math.ceil(from / step) * step; time < to; time += step) {
    svg.append(draw("line", { x1: x(time), x2: x(time), y1: head - 5, y2: height }));
    svg.append(draw("text", { class: "scale", x: x(time), y: head - 8 }, utc(time).slice(0, 5)));
  }
  shown.forEach((service, i) => {
    const base = head + (i + 1) * row - 2;
    const half = innerWidth < 640 ? 12 : 16;
    const id = service.id.length > 2 * half + 2 ? service.id.slice(0, half) + "…" + service.id.slice(-half - 1) : service.id;
    svg.append(draw("text", { x: 0, y: base - 2 }, id));
    for (const one of service.spans) {
      const [begins, ends] = [Math.max(from, Date.parse(one.from)), end(one)];
      if (ends < from) continue;
      const kind = KIND[one.verdict], tall = HEIGHT[kind] * (row / ROW);
      const bar = draw("rect", { class: kind, x: x(begins).toFixed(2), y: (base - tall).toFixed(2),
        width: Math.max(0.8, x(ends) - x(begins)).toFixed(2), height: tall });
      bar.append(draw("title", {}, `${service.id} ${one.verdict} ${utc(begins)} to ${one.until ? utc(ends) : "now"}${one.cause ? ": " + one.cause : ""}`));
      svg.append(bar);
    }
  });
  for (const gap of past.gaps) {
    const [begins, ends] = [x(Date.parse(gap.from)), x(Date.parse(gap.until))];
    const bar = draw("rect", { class: "gap", x: begins, y: head - 3, width: Math.max(0.8, ends - begins), height: 3 });
    bar.append(draw("title", {}, `not stored: ${gap.kind}`));
    svg.append(bar);
  }
  chart.append(svg);
  put(at("legend"), "The taller a bar, the worse: failed, lost and error above restarting, late and degraded, above ok. A strip on top: not all was stored.");
}
at("past-all").addEventListener("change", () => past && drawPast());
addEventListener("resize", () => past && drawPast());
