// Data from the server, and announcements of new trouble.
// `source` is null while the page is hidden; `refusal` is why the server refuses the stream.
let source = null, again = 0, hiding = 0, refusal = "";

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
    refusal = "";
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
  // a reply that is not a stream ends the EventSource for good
  source.onerror = () => {
    if (source?.readyState !== EventSource.CLOSED) return;
    again = setTimeout(connect, AGAIN);
    readRefusal();
  };
}

// An EventSource does not report what the reply was.
async function readRefusal() {
  const stop = new AbortController();
  try {
    const reply = await fetch("api/v1/stream", { signal: stop.signal });
    const isText = reply.headers.get("content-type")?.startsWith("text/plain");
    refusal = reply.ok ? "" : isText ? (await reply.text()).trim() : `HTTP status ${reply.status}`;
  } catch { refusal = ""; }
  stop.abort();
}

// A browser opens six connections to a host at most: a hidden page needs none.
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => { clearTimeout(again); source?.close(); source = null; }, HIDDEN);
  } else {
    if (!source) connect();
    if (open) readDetails();
  }
});

// ---- announcements of new trouble ----
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
