"use strict";
// The status page. Whatever comes from services becomes text, never markup: `textContent` only.

const RANK = ["failed", "lost", "error", "restarting", "late", "degraded", "starting", "stopping",
  "unknown", "ok", "stopped"];
const FAULTS = new Set(RANK.slice(0, 6));
const KIND = { failed: "bad", lost: "bad", error: "bad", restarting: "warn", late: "warn", degraded: "warn",
  starting: "moving", stopping: "moving", unknown: "idle", ok: "good", stopped: "idle" };
const SIGN = { failed: "×", error: "×", lost: "⚠", restarting: "⟳", late: "◐", degraded: "◐", starting: "◌",
  stopping: "◌", unknown: "?", ok: "●", stopped: "○" };
const HEIGHT = { bad: 13, warn: 9, moving: 6, good: 4, idle: 1.5 };
const ICON = { bad: "#c2162b", warn: "#c98500", moving: "#0860c4", good: "#1a7f37", idle: "#6e7781" };
// No news for so long: the data may be wrong. In milliseconds.
const STALE = 12000;
const SILENT = 30000;
const AGAIN = 3000;
const HIDDEN = 60000;

const parameters = new URLSearchParams(location.search);
const host = parameters.get("host") || "";
const title = document.title;
const at = (id) => document.getElementById(id);

const services = new Map();
let alarms = null;
let tick = null;
let past = null;
let connected = true;
let clock = null; // the broker's time, and when it was told
let lastNews = performance.now();
let hasSnapshot = false;

// What acts on text without being seen is written out: names come from anywhere.
const HIDDEN_TEXT = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;
const clean = (text) => String(text ?? "").replace(HIDDEN_TEXT, (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");

function put(node, text) {
  text = clean(text);
  if (node.textContent !== text) node.textContent = text;
}

function make(tag, attributes = {}, ...inside) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  for (const part of inside) node.append(part instanceof Node ? part : clean(part));
  return node;
}

function draw(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = clean(text);
  return node;
}

// Keeps the nodes that are there, so that the focus stays where it is.
function arrange(parent, keys, create, update) {
  const known = parent.known ??= new Map();
  const wanted = new Set(keys);
  for (const [key, node] of known) if (!wanted.has(key)) { node.remove(); known.delete(key); }
  let place = parent.firstChild;
  for (const key of keys) {
    let node = known.get(key);
    if (!node) known.set(key, node = create(key));
    update(node, key);
    if (node === place) place = place.nextSibling; else parent.insertBefore(node, place);
  }
}

function now() {
  return clock ? clock.time + performance.now() - clock.told : Date.now();
}

function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  if (d) return h % 24 ? `${d} d ${h % 24} h` : `${d} d`;
  if (h) return m % 60 ? `${h} h ${m % 60} min` : `${h} h`;
  if (m) return m < 10 && s % 60 ? `${m} min ${s % 60} s` : `${m} min`;
  return `${s} s`;
}
const since = (time) => (time ? span(now() - Date.parse(time)) : "");
const utc = (time) => (time ? new Date(time).toISOString().slice(11, 19) + " UTC" : "");
const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
const shortHost = (name) => (name || "").split(".")[0];
const isHere = (name) => !host || shortHost(name) === shortHost(host);

// ---- what comes ----
let source = null, again = 0, hiding = 0;

function connect() {
  clearTimeout(again);
  source?.close();
  source = new EventSource("api/v1/stream");
  const on = (kind, handle) => source.addEventListener(kind, (event) => {
    const data = JSON.parse(event.data);
    lastNews = performance.now();
    clock = { time: Date.parse(data.at ?? data.taken_at), told: lastNews };
    handle(data);
    later();
  });
  on("snapshot", (data) => {
    const before = new Map(services);
    services.clear();
    for (const service of data.services) {
      services.set(service.id, service);
      if (hasSnapshot) tell(before.get(service.id)?.verdict, service);
      notePast(service);
    }
    hasSnapshot = true;
  });
  on("service", (data) => {
    tell(data.from, data.service);
    services.set(data.id, data.service);
    if (data.from !== data.service.verdict) notePast(data.service);
  });
  on("gone", (data) => services.delete(data.id));
  on("link", (data) => { connected = data.connected; });
  on("alarms", (data) => { alarms = data; });
  on("tick", (data) => { tick = data; connected = data.connected; });
  // a reply that is no stream ends it for good
  source.onerror = () => { if (source?.readyState === EventSource.CLOSED) again = setTimeout(connect, AGAIN); };
}

// A browser opens six connections to a host at most: a page that nobody sees needs none.
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => { clearTimeout(again); source?.close(); source = null; }, HIDDEN);
  } else {
    if (!source) connect();
    if (open) readDetails();
  }
});

// ---- new trouble, for those who hear it ----
let trouble = [], telling = 0;

function tell(before, service) {
  if (!FAULTS.has(service.verdict) || FAULTS.has(before) || !isHere(service.host)) return;
  trouble.push(`${service.id} ${service.verdict}: ${says(service)}`);
  telling ||= setTimeout(() => {
    const text = trouble.length > 3 ? `${trouble.length} services have problems` : trouble.join(". ");
    put(at("news"), text);
    [trouble, telling] = [[], 0];
    beep();
  }, 500);
}

let audio = null;
at("sound").addEventListener("click", () => {
  if (audio) { audio.close(); audio = null; } else { audio = new AudioContext(); beep(); }
  at("sound").setAttribute("aria-pressed", audio ? "true" : "false");
  put(at("sound"), audio ? "Sound is on" : "Sound is off");
});
function beep() {
  if (!audio) return;
  const tone = audio.createOscillator();
  tone.connect(audio.destination);
  tone.frequency.value = 660;
  tone.start();
  tone.stop(audio.currentTime + 0.25);
}

// ---- what is shown ----
let drawing = 0;
function later() { drawing ||= setTimeout(() => { drawing = 0; render(); }, 100); }

function state(node, service) {
  node.className = `state v-${KIND[service.verdict]}`;
  const attempt = service.restart_attempt ? ` (${service.restart_attempt}/${service.restart_limit ?? "?"})` : "";
  put(node, `${SIGN[service.verdict]} ${service.verdict}${attempt}`);
}

// Ages in a headline are those of the last change: they are taken out, and told by `for`.
function says(service) {
  if (service.cause) return service.cause;
  if (["heartbeat_late", "heartbeat_lost"].includes(service.reasons[0]) && service.last_heartbeat_at) {
    return `no heartbeat since ${utc(service.last_heartbeat_at)} (expected every ${service.heartbeat_interval_s} s)`;
  }
  return service.headline.replace(/[,;]? [\d.]+ (s|min|h|d)( \d+ (s|min|h))? ago$/, "");
}

function link(id) {
  return make("a", { href: "#" + encodeURIComponent(id) }, id);
}

function render() {
  const shown = [...services.values()].filter((service) => isHere(service.host));
  const rank = (service) => RANK.indexOf(service.verdict);
  shown.sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1));
  const problems = shown.filter((service) => FAULTS.has(service.verdict));
  const worst = shown[0]?.verdict;

  const parts = RANK.map((verdict) => [shown.filter((it) => it.verdict === verdict).length, verdict])
    .filter(([n]) => n).map(([n, verdict]) => `${n} ${verdict}`);
  put(at("summary"), hasSnapshot ? parts.join(" · ") || "no services" : "connecting …");
  document.title = clean((isStale() ? "NO CONTACT – " : problems.length ? `${SIGN[worst]} ${parts[0]} – ` : "") + title);
  icon(isStale() ? "idle" : KIND[worst] ?? "idle", isStale() ? "?" : SIGN[worst] ?? "?");

  at("none").hidden = problems.length > 0 || !hasSnapshot;
  const by = new Map(shown.map((service) => [service.id, service]));
  arrange(at("cards"), problems.map((it) => it.id),
    (id) => make("li", {}, link(id), " ", make("span", {}), make("p", {}), make("p", { class: "dim" })),
    (node, id) => {
      const service = by.get(id);
      node.className = KIND[service.verdict];
      state(node.querySelector("span"), service);
      const [what, where] = node.querySelectorAll("p");
      put(what, says(service));
      put(where, [service.since && `for ${since(service.since)}`, service.host && `on ${shortHost(service.host)}`, taken(id)].filter(Boolean).join(" · "));
    });
  renderAlarms();
  renderRows(shown);
  renderService();
}

// Who has acknowledged the alarms of a service.
function taken(id) {
  const acked = (alarms?.alarms ?? []).find((alarm) => alarm.service === id && alarm.acked);
  return acked ? `taken by ${acked.acked.by}` : "";
}

function renderAlarms() {
  if (!alarms) return;
  const shown = alarms.alarms.filter((alarm) => isHere(alarm.host));
  const watched = alarms.watched_by.length;
  const { unacked, acked, shelved } = alarms.counts;
  const parts = [`${unacked} unacknowledged`, acked && `${acked} acknowledged`, shelved && `${shelved} shelved`];
  parts.push(watched ? `watched by ${watched}` : "NOT WATCHED: no sentinel watches, nobody is notified");
  if (tick?.alarms_problem) parts.push(`alarms cannot be read: ${tick.alarms_problem}`);
  put(at("watched"), parts.filter(Boolean).join(" · "));
  at("watched").className = watched ? "" : "bad";
  at("alarm-table").hidden = !shown.length;
  const by = new Map(shown.map((alarm) => [alarm.id, alarm]));
  arrange(at("alarm-rows"), shown.map((it) => it.id),
    (id) => make("tr", {}, make("th", { scope: "row" }, id), make("td"), make("td"), make("td"), make("td")),
    (node, id) => {
      const alarm = by.get(id);
      const [severity, word, time, who] = node.querySelectorAll("td");
      severity.className = "v-" + ({ critical: "bad", warning: "warn" }[alarm.severity] ?? "idle");
      put(severity, alarm.severity);
      put(word, alarm.state + (alarm.shelved ? ", shelved" : alarm.suppressed_by ? ", explained" : ""));
      put(time, since(alarm.since));
      const said = [alarm.message];
      if (alarm.acked) said.push(`acknowledged by ${alarm.acked.by}${alarm.acked.note ? ": " + alarm.acked.note : ""}`);
      if (alarm.shelved) said.push(`shelved by ${alarm.shelved.by} until ${utc(alarm.shelved.until)}: ${alarm.shelved.reason}`);
      if (alarm.suppressed_by) said.push(`because of ${alarm.suppressed_by}`);
      const told = alarm.told.filter((it) => it.st === "done").map((it) => it.channel);
      if (told.length) said.push(`told: ${told.join(", ")}`);
      put(who, said.filter(Boolean).join("; "));
    });
}

function renderRows(shown) {
  if (document.body.classList.contains("wall")) return;
  const wanted = at("search").value.toLowerCase();
  const rows = shown.filter((it) => (at("stopped").checked || it.verdict !== "stopped") &&
    (it.id + " " + (it.host ?? "")).toLowerCase().includes(wanted));
  const by = new Map(rows.map((service) => [service.id, service]));
  arrange(at("rows"), rows.map((it) => it.id),
    (id) => make("tr", {}, make("th", { scope: "row" }, link(id)), make("td"), make("td"), make("td"), make("td")),
    (node, id) => {
      const service = by.get(id);
      const [word, time, where, what] = node.querySelectorAll("td");
      state(word, service);
      put(time, since(service.since));
      put(where, shortHost(service.host));
      put(what, says(service));
    });
}

function icon(kind, sign) {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="${ICON[kind]}"/>` +
    `<text x="8" y="12" font-size="11" text-anchor="middle" fill="#fff">${sign}</text></svg>`;
  const address = "data:image/svg+xml," + encodeURIComponent(svg);
  if (at("icon").getAttribute("href") !== address) at("icon").setAttribute("href", address);
}

// ---- contact ----
let lastTry = 0;
const isStale = () => performance.now() - lastNews >= STALE;

setInterval(() => {
  const age = performance.now() - lastNews;
  const stale = isStale(), blind = !stale && !connected;
  const wasBad = !at("contact").hidden;
  document.body.classList.toggle("stale", stale || blind);
  at("contact").hidden = !stale && !blind;
  if (stale) put(at("contact"), `NO CONTACT, data ${span(age)} old`);
  if (blind) put(at("contact"), "NO CONTACT between the server of this page and the broker, data may be old");
  if (!wasBad && (stale || blind)) put(at("news"), "no contact, the data may be old");
  const doubts = !stale && !blind && tick && !tick.complete ? tick.problems : [];
  at("picture").hidden = !doubts.length;
  put(at("picture"), `Not everything could be read: ${doubts.join("; ")}`);
  const profiles = tick?.profiles ?? [];
  put(at("profile"), profiles.length ? `profile${profiles.length > 1 ? "s" : ""} ${profiles.join(", ")}` : "");
  put(at("clock"), clock && !stale ? utc(now()) : "");
  // a server that has stopped keeps its connections
  if (age > SILENT && source && performance.now() - lastTry > SILENT) {
    lastTry = performance.now();
    connect();
  }
  render();
}, 1000);

// ---- the past ----
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
    "aria-label": `timeline of the last hour, ${count(shown.length, "service")}; each one's page tells the same in words` });
  const step = (innerWidth < 640 ? 30 : 10) * 60000;
  for (let time = Math.ceil(from / step) * step; time < to; time += step) {
    svg.append(draw("line", { x1: x(time), x2: x(time), y1: head - 5, y2: height }));
    svg.append(draw("text", { class: "scale", x: x(time), y: head - 8 }, utc(time).slice(0, 5)));
  }
  shown.forEach((service, i) => {
    const base = head + (i + 1) * row - 2;
    const most = 34, id = service.id.length > most ? service.id.slice(0, 16) + "…" + service.id.slice(-17) : service.id;
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

// ---- one service ----
let open = null, details = 0;

function route() {
  let id = "";
  try { id = decodeURIComponent(location.hash.slice(1)); } catch { /* not ours */ }
  if (id === "main") return;
  const before = open;
  open = id || null;
  at("overview").hidden = !!open;
  at("service").hidden = !open;
  if (open) {
    for (const name of ["why", "figures", "log"]) at(name).replaceChildren();
    renderService();
    at("service-title").focus();
    readDetails();
  } else if (before) {
    render();
    document.querySelector(`a[href="#${CSS.escape(encodeURIComponent(before))}"]`)?.focus();
  }
}
addEventListener("hashchange", route);

function renderService() {
  if (!open) return;
  const service = services.get(open);
  put(at("service-title"), open);
  if (!service) { put(at("service-state"), hasSnapshot ? "is not known" : ""); return; }
  state(at("service-state"), service);
  at("service-state").append(clean(`${service.since ? " for " + since(service.since) : ""}${says(service) ? ": " + says(service) : ""}`));
}

async function readDetails() {
  clearTimeout(details);
  const id = open;
  // launchers are asked for these: not for a page that nobody sees
  if (document.hidden) return;
  const ask = async (path, show, place) => {
    try {
      const reply = await fetch(path);
      const text = await reply.text();
      if (id !== open) return;
      if (!reply.ok) throw new Error(text.trim());
      show(text);
    } catch (error) {
      if (id === open) put(at(place), `Not read: ${error.message}`);
    }
  };
  const which = "service=" + encodeURIComponent(id);
  await Promise.all([
    ask("api/v1/why?" + which, (text) => showWhy(JSON.parse(text)), "why"),
    ask("api/v1/resources", (text) => showFigures(id, JSON.parse(text)), "figures"),
    ask("api/v1/logs?" + which, showLog, "log")]);
  if (open === id) details = setTimeout(readDetails, 15000);
}

const SECTIONS = { verdict: "", last_end: "Last end", pattern: "Pattern", before: "Within 60 s before", tried: "Since then", next: "Next" };

function whyLine({ text, command }) {
  const item = make("li", {}, text);
  // what to type stands apart from what it is for
  if (command && text.startsWith(command)) item.replaceChildren(make("code", {}, command), clean(text.slice(command.length)));
  return item;
}

function showWhy(why) {
  at("why").replaceChildren();
  for (const [name, heading] of Object.entries(SECTIONS)) {
    const lines = why.lines.filter((line) => line.section === name);
    if (!lines.length) continue;
    if (heading) at("why").append(make("h4", {}, heading));
    at("why").append(make("ul", {}, ...lines.map(whyLine)));
  }
  for (const problem of why.problems) at("why").append(make("p", {}, `not read: ${problem}`));
}

const bytes = (n) => { let i = 0; while (n >= 1000 && i < 4) { n /= 1000; i++; } return `${i && n < 10 ? n.toFixed(1) : Math.round(n)} ${["B", "kB", "MB", "GB", "TB"][i]}`; };

function showFigures(id, told) {
  const used = told.services.find((it) => it.service_id === id) ?? {};
  const service = services.get(id) ?? {};
  const figures = [
    ["Processor", used.cpu_percent, (n) => `${n.toFixed(1)} % of one core`],
    ["Memory", used.rss_bytes, bytes], ["Most memory of this run", used.peak_rss_bytes, bytes],
    ["Threads", used.threads, String], ["Open files", used.open_fds, String],
    ["Read", used.read_bytes, bytes], ["Written", used.written_bytes, bytes],
    ["Restarts", used.restarts_total, String], ["Process", service.pid, String],
    ["Host", service.host, String], ["Launcher", service.launcher, String], ["Started", service.started_at, utc],
    ["Last heartbeat", service.last_heartbeat_at, utc],
    ...Object.entries(service.metrics ?? {}).slice(0, 64).map(([name, value]) => [name, value, (it) => typeof it === "object" ? JSON.stringify(it) : String(it)]),
  ].filter(([, value]) => value !== undefined && value !== null);
  at("figures").replaceChildren(...figures.flatMap(([name, value, form]) => [make("dt", {}, name), make("dd", {}, form(value))]));
}

function showLog(text) {
  const lines = text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const colour = /\u001b\[[0-9;]*m/g;
  const shown = lines.map((it) => `${utc(it.at).slice(0, 8)}  ${it.level.padEnd(8)}  ${clean(it.message.replace(colour, ""))}`);
  const log = at("log"), isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.textContent = shown.join("\n") || "No output.";
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

// ---- begin ----
const theme = parameters.get("theme");
if (["night", "dark", "light"].includes(theme)) document.documentElement.dataset.theme = theme;
document.body.classList.toggle("wall", parameters.get("view") === "wall");
const toggled = (name, value) => {
  const other = new URLSearchParams(parameters);
  if (other.get(name) === value) other.delete(name); else other.set(name, value);
  return "?" + other;
};
at("wall").href = toggled("view", "wall");
at("night").href = toggled("theme", "night");
if (theme === "night") put(at("night"), "Day");
for (const id of ["search", "stopped"]) at(id).addEventListener("input", later);
connect();
readPast();
route();
