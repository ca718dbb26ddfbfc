"use strict";
// The status page. Whatever comes from services becomes text, never markup: `textContent` only.
// The files of this folder are served as one script, `/page.js`, in the order in which
// `tcsctl/src/serve/routes.rs` names them.

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
