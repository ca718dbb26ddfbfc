// All services: cards, alarms, table, title, icon, and whether there is contact.
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
  put(at("summary"), hasSnapshot ? parts.join(" · ") || "no services" : refusal || "connecting …");
  const doubt = !source ? "paused – " : isStale() ? "NO CONTACT – " : "";
  document.title = clean((doubt || (problems.length ? `${SIGN[worst]} ${parts[0]} – ` : "")) + title);
  icon(doubt ? "idle" : KIND[worst] ?? "idle", doubt ? "?" : SIGN[worst] ?? "?");

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
      if (told.length) said.push(`notified: ${told.join(", ")}`);
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

// How long the computer has slept since the last look: its steady clock does not count that. A step of
// its other clock looks the same, and costs a new snapshot.
let steady = performance.now(), wall = Date.now();
function slept() {
  const [before, then] = [steady, wall];
  [steady, wall] = [performance.now(), Date.now()];
  return wall - then - (steady - before);
}

setInterval(() => {
  const asleep = slept();
  if (asleep >= STALE) {
    lastNews -= asleep;
    if (clock) clock.told -= asleep;
    if (source) connect();
  }
  const age = performance.now() - lastNews;
  const stale = isStale(), blind = !stale && !connected;
  const wasBad = !at("contact").hidden;
  document.body.classList.toggle("stale", stale || blind);
  at("contact").hidden = !stale && !blind;
  const old = hasSnapshot ? `data ${span(age)} old` : "no data yet";
  if (stale) put(at("contact"), ["NO CONTACT, " + old, refusal].filter(Boolean).join(": "));
  if (blind) put(at("contact"), "NO CONTACT between the server of this page and the broker, data may be old");
  if (!wasBad && (stale || blind) && source) put(at("news"), "no contact, the data may be old");
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
