// The dashboard: what the streams say goes to the model, and is drawn from there.
//
//   /api/v1/live --> Model --> figures, what is wrong, services, pools, map, table, charts
//   /api/v1/events --> events      /api/v1/history --> charts      /api/v1/top, picks --> right now

import { $, LOOKS, clock, put } from "./format.js";
import { act, signIn } from "./actions.js";
import { ask, stream } from "./live.js";
import { CellMap, forget } from "./map.js";
import { Charts } from "./charts.js";
import { figures, happened, lists, now, tab, wrong } from "./panels.js";
import { Model } from "./model.js";
import { Table } from "./table.js";

const model = new Model();
const drawWrong = wrong(model, pick);
const drawLists = lists(model, pick);
const map = new CellMap(model, (row) => pick(row.key));
const table = new Table(model, { act, open: (row) => charts.show(`backend:${row.key}`) });
const charts = new Charts(model);
let started = null;
let lostAt = null;
let lastEvent = 0;

function pick(text) {
	$("filter").value = text;
	filter();
	$("backends").scrollIntoView({ block: "nearest" });
}

function filter() {
	const text = $("filter").value;
	// It can be sent, and outlives a reload.
	history.replaceState(null, "", `#${encodeURIComponent(text)}`);
	table.filter(text);
	count();
}

function count() {
	const [shown, all] = [table.rows.length, model.list.length];
	put($("counted"), shown === all ? `${all}` : `${shown} of ${all}`);
}

function draw() {
	const troubles = model.troubles();
	const worst = troubles[0]?.look ?? "up";
	const { length } = troubles.filter((it) => it.look === worst);
	tab(worst, length ? `${LOOKS[worst].glyph} ${length} ${worst} · pointsman` : "pointsman");
	figures(model);
	drawWrong(troubles);
	drawLists();
	map.draw();
	table.update();
	count();
	charts.update();
}

function tell(flips) {
	if (flips.length) put($("flips"), flips.slice(0, 5).map((row) => `${row.key} is ${row.state}`).join(", "));
}

const live = stream(() => "/api/v1/live", {
	lost: (status) => (status === 401 || status === 403 ? refused() : lost()),
	event(kind, data) {
		// Behind a `resync` comes a snapshot.
		if (!data.second) return;
		const start = performance.now();
		const flips = model.apply(data);
		lostAt = null;
		document.body.className = "";
		if (data.columns) begin();
		draw();
		tell(flips);
		performance.measure(kind, { start });
		if (data.second % 60 === 0) performance.clearMeasures();
	},
});

const events = stream(() => `/api/v1/events?since=${lastEvent}`, {
	event(kind, data, id) {
		lastEvent = Number(id);
		happened(kind, data);
	},
});

// A snapshot, and maybe of another process, whose events have other numbers.
function begin() {
	if (started !== model.process.started) {
		lastEvent = 0;
		events.close();
		events.open();
		ask("/api/v1").then((it) => now(it.paths), () => {});
		certificates();
	}
	started = model.process.started;
	for (const side of charts.sides) side.load();
}

async function certificates() {
	const { items } = await ask("/api/v1/listeners").catch(() => ({ items: [] }));
	model.certificates = items.flatMap((it) => it.certificates ?? []);
}

function lost() {
	lostAt ??= Date.now() / 1000;
	document.body.className = "lost";
	put($("link"), `not connected since ${clock(lostAt)}`);
	tab("unknown", "○ not connected · pointsman");
}

async function refused() {
	show(false);
	put($("link"), "not signed in");
	$("sign").hidden = false;
	if (await signIn()) show(true);
}

// A tab that nobody sees has no stream: a browser has six for all tabs.
function show(is) {
	for (const it of [live, events]) {
		if (is) it.open();
		else it.close();
	}
}

document.addEventListener("visibilitychange", () => show(!document.hidden));

// A hidden tab asks now and then for what its title needs.
setInterval(async () => {
	if (!started) return;
	if (!document.hidden) return certificates();
	const { items } = await ask("/api/v1/pools").catch(() => ({}));
	const down = items?.reduce((sum, it) => sum + it.backends - it.up, 0);
	if (!items) lost();
	else tab(down ? "down" : "up", down ? `▼ ${down} not up · pointsman` : "pointsman");
}, 60_000);

addEventListener("keydown", (event) => {
	const { key, target } = event;
	if (key === "Escape" && target === $("filter")) pick("");
	if (target.matches("input, select") || document.querySelector("[open]") || event.ctrlKey || event.altKey || event.metaKey) return;
	if (key === "/") $("filter").focus();
	else if (key === "?") $("help").showModal();
	else if (key >= "1" && key <= "5") charts.choose(key - 1);
	else return;
	event.preventDefault();
});

$("sign").onclick = refused;
$("help-button").onclick = () => $("help").showModal();
$("help-close").onclick = () => $("help").close();
$("filter").oninput = filter;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
	forget();
	if (started) draw();
});

$("filter").value = decodeURIComponent(location.hash.slice(1));
filter();
show(!document.hidden);
