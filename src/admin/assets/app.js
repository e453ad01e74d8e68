// The dashboard: opens the streams, hands what they say to the model, and has the panels drawn.
//
//   /api/v1/live --> Model --> figures, what is wrong, services, pools, map, table, charts
//   /api/v1/events --> events      /api/v1/history --> charts      /api/v1/top, picks --> right now

import { $, RANKS, clock, put } from "./format.js";
import { act, say, signIn } from "./actions.js";
import { ask, stream, token } from "./live.js";
import { CellMap, forget } from "./map.js";
import { Charts } from "./charts.js";
import { Events, Figures, Lists, Now, tab, wrong } from "./panels.js";
import { Model } from "./model.js";
import { Table } from "./table.js";

/** What is looked at is kept in the address: it can be sent, and outlives a reload. */
const kept = {
  all: new URLSearchParams(location.hash.slice(1)),
  get: (name) => kept.all.get(name),
  set(name, text) {
    if (text) kept.all.set(name, text);
    else kept.all.delete(name);
    history.replaceState(null, "", `#${kept.all}`);
  },
};

const model = new Model();
const figures = new Figures();
const events = new Events();
const lists = new Lists(model, pick);
const table = new Table(model, { act, open: (row) => charts.show(`backend:${row.key}`) });
const map = new CellMap(model, (row) => pick(row.key));
const charts = new Charts(model, kept);
const now = new Now();
let lostAt = null;
let started = null;

/** The table shows these alone. */
function pick(text) {
  $("filter").value = text;
  filtered();
  $("backends").scrollIntoView({ block: "nearest" });
}

function filtered() {
  const text = $("filter").value;
  kept.set("q", text.trim());
  table.filter(text);
  count();
}

function count() {
  const all = model.list.length;
  put($("counted"), table.count === all ? String(all) : `${table.count} of ${all}`);
}

/** All panels, once a second. */
function draw() {
  const troubles = model.troubles();
  figures.draw(model.process, model.second);
  wrong(model, troubles, pick);
  lists.draw();
  map.draw();
  table.update();
  count();
  charts.update();
  title(troubles);
}

function title(troubles) {
  const worst = troubles[0]?.look ?? "up";
  const alike = troubles.filter((it) => it.look === worst).length;
  const glyph = { down: "▼", degraded: "▲", draining: "◐", maint: "■" }[worst];
  tab(worst, glyph ? `${glyph} ${alike} ${worst} · pointsman` : "pointsman");
}

/** For a screen reader: backends that went up or down, and nothing else. */
function tell(flips) {
  if (!flips.length) return;
  const words = flips.sort((a, b) => RANKS[a.look] - RANKS[b.look]).slice(0, 3).map((row) => `${row.key} is ${row.state}`);
  if (flips.length > 3) words.push(`and ${flips.length - 3} more`);
  put($("flips"), words.join(", "));
}

const live = stream(() => "/api/v1/live", 20_000, {
  open: () => connected(),
  lost: (status) => disconnected(status),
  event(kind, data) {
    // What was missed cannot be told: the snapshot that follows has all.
    if (kind !== "snapshot" && kind !== "delta") return;
    if (kind === "delta" && !model.columns.length) return;
    const began = performance.now();
    const flips = model.apply(kind, data);
    if (kind === "snapshot") fresh();
    draw();
    tell(flips);
    performance.measure(kind, { start: began, end: performance.now() });
    if (performance.getEntriesByName("delta").length > 600) performance.clearMeasures();
  },
});

const happened = stream(() => `/api/v1/events?since=${events.last}`, 60_000, {
  open() {},
  lost() {},
  event: (kind, data, id) => events.add(kind, data, id),
});

/** Another process begins its numbers anew. */
function fresh() {
  if (started !== null && started !== model.process.started) {
    events.last = 0;
    happened.close();
    happened.open();
  }
  if (started !== model.process.started) {
    ask("/api/v1").then((it) => now.known(it.paths), () => now.known([]));
    certificates();
  }
  started = model.process.started;
  charts.load();
}

/** Whose certificate ends soon is worth a line. */
async function certificates() {
  const told = await ask("/api/v1/listeners").catch(() => ({ items: [] }));
  const all = told.items.flatMap((it) => it.certificates ?? []);
  model.certificates = all.map((it) => ({
    file: it.file, names: it.names.slice(0, 2).join(", "), ends: Date.parse(it.not_after) / 1000,
  }));
}
setInterval(() => document.hidden || lostAt || certificates(), 300_000);

function connected() {
  lostAt = null;
  document.body.classList.remove("lost");
}

function disconnected(status) {
  if (status === 401 || status === 403) return refused(status);
  lostAt ??= Date.now() / 1000;
  document.body.classList.add("lost");
  put($("link"), `not connected since ${clock(lostAt)}`);
  tab("unknown", "○ not connected · pointsman");
}

async function refused(status) {
  if (status === 403) say("this token may not look at anything");
  show(false);
  $("sign").hidden = false;
  put($("link"), "not signed in");
  if (await signIn()) show(true);
}

$("sign").addEventListener("click", async () => {
  if (await signIn()) show(true);
});

/** A tab that nobody sees has no stream, for a browser has six for all tabs. */
function show(is) {
  for (const it of [live, happened]) {
    if (is) it.open();
    else it.close();
  }
}

document.addEventListener("visibilitychange", () => show(!document.hidden));

/** A hidden tab asks now and then for so much as its title needs. */
async function glance() {
  if (!document.hidden || (started === null && !token.get())) return;
  const told = await ask("/api/v1/pools").catch(() => null);
  if (!told) return tab("unknown", "○ not connected · pointsman");
  const down = told.items.reduce((sum, it) => sum + it.backends - it.up, 0);
  if (down) tab("down", `▼ ${down} not up · pointsman`);
  else tab("up", "pointsman");
}
setInterval(glance, 30_000);

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select") || document.querySelector("dialog[open]");
  if (event.key === "Escape" && event.target === $("filter")) {
    if ($("filter").value) pick("");
    else $("filter").blur();
  }
  if (typing || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "/") $("filter").focus();
  else if (event.key === "?") $("help").showModal();
  else if (event.key >= "1" && event.key <= "5") charts.choose(["10m", "1h", "6h", "24h", "7d"][event.key - 1]);
  else return;
  event.preventDefault();
});

$("help-button").addEventListener("click", () => $("help").showModal());
$("help-close").addEventListener("click", () => $("help").close());
$("filter").addEventListener("input", filtered);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  forget();
  if (model.process) draw();
});
addEventListener("resize", () => model.process && draw());

$("filter").value = kept.get("q") ?? "";
table.filter($("filter").value);
show(!document.hidden);
