// One service: why, figures, output.
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
  if (!service) { put(at("service-state"), hasSnapshot ? "not known" : ""); return; }
  state(at("service-state"), service);
  at("service-state").append(clean(`${service.since ? " for " + since(service.since) : ""}${says(service) ? ": " + says(service) : ""}`));
}

async function readDetails() {
  clearTimeout(details);
  const id = open;
  // launchers are asked for these: not for a page that nobody sees
  if (document.hidden) return;
  const read = async (path) => {
    const reply = await fetch(path);
    const text = await reply.text();
    if (!reply.ok) throw new Error(text.trim());
    return text;
  };
  const fill = async (place, show, ...paths) => {
    try {
      const texts = await Promise.all(paths.map(read));
      if (id === open) show(...texts);
    } catch (error) {
      if (id === open) put(at(place), `Could not be read: ${error.message}`);
    }
  };
  const which = "?service=" + encodeURIComponent(id);
  await Promise.all([
    fill("why", showWhy, "api/v1/why" + which),
    // metrics and heartbeats alone do not make the stream report a change
    fill("figures", showFigures, "api/v1/fleet" + which, "api/v1/resources"),
    fill("log", showLog, "api/v1/logs" + which)]);
  if (open === id) details = setTimeout(readDetails, 15000);
}

const SECTIONS = { verdict: "", last_end: "Last end", pattern: "Pattern", before: "Within 60 s before", tried: "Since then", next: "Next" };

function whyLine({ text, command }) {
  const item = make("li", {}, text);
  // what to type stands apart from what it is for
  if (command && text.startsWith(command)) item.replaceChildren(make("code", {}, command), clean(text.slice(command.length)));
  return item;
}

function showWhy(text) {
  const why = JSON.parse(text);
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

const METRICS = 64;

function showFigures(fleet, resources) {
  const [service] = JSON.parse(fleet).services;
  const told = JSON.parse(resources);
  const used = [...told.services, ...told.not_running].find((it) => it.service_id === service.id) ?? {};
  const metrics = Object.entries(service.metrics ?? {});
  const figures = [
    ["Processor", used.cpu_percent, (n) => `${n.toFixed(1)} % of one core`],
    ["Memory", used.rss_bytes, bytes], ["Peak memory of this run", used.peak_rss_bytes, bytes],
    ["Threads", used.threads, String], ["Open files", used.open_fds, String],
    ["Read", used.read_bytes, bytes], ["Written", used.written_bytes, bytes],
    ["Restarts", used.restarts_total, String], ["Process", service.pid, String],
    ["Host", service.host, String], ["Launcher", service.launcher, String], ["Started", service.started_at, utc],
    ["Last heartbeat", service.last_heartbeat_at, utc],
    ...metrics.slice(0, METRICS).map(([name, value]) => [name, value, (it) => typeof it === "object" ? JSON.stringify(it) : String(it)]),
    ["Further metrics", Math.max(0, metrics.length - METRICS) || null, String],
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
