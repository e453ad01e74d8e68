// The panels that are lists: figures, what is wrong, services, pools, events, what is under way.

import { $, LOOKS, bytes, clock, el, look, ms, number, percent, put, rate, set, shape, span } from "./format.js";
import { Lines, mark, spark } from "./lines.js";
import { Strip } from "./map.js";
import { ask } from "./live.js";

const FIGURES = [
	["requests/s", (it) => rate(it.rate)],
	["errors", (it) => percent(it.errors_rate / it.rate), (it) => it.errors_rate > 0.01 * it.rate],
	["p99", (it) => ms(it.p99_ms)],
	["open", (it) => `${number(it.open)} / ${number(it.limit)}`, (it) => it.open > 0.8 * it.limit],
	["turn p99", (it) => ms(it.turn_p99_ms)],
	["files", (it) => `${number(it.fds)} / ${number(it.fds_max)}`, (it) => it.fds > 0.8 * it.fds_max],
	["memory", (it) => bytes(it.memory)],
	["refused", (it) => `${number(it.refused)} ${it.refused_by}`],
];

export function figures({ process: it, second }) {
	const all = $("figures");
	if (!all.firstChild) all.append(...FIGURES.map(([title]) => el("div", {}, el("dt", {}, title), el("dd"))));
	FIGURES.forEach(([, text, bad], at) => {
		put(all.children[at].lastChild, text(it));
		set(all.children[at], "className", bad?.(it) ? "bad" : "");
	});
	put($("version"), it.version);
	const { reload } = it;
	const last = reload ? ` · reload ${reload.ok ? "good" : "failed"} ${span(second - reload.at)} ago` : "";
	put($("link"), `up ${span(second - it.started)} · generation ${it.generation}${last}`);
}

const WRONG_MAX = 12;

// What is wrong, the worst first; a click shows it in the table. Gives what draws it.
export function wrong(model, pick) {
	const what = (row, cell) => {
		const it = mark(cell, row.look, row.what, "button", { className: "plain", onclick: () => pick(it.filter) });
		it.filter = row.filter;
		it.disabled = !row.filter;
	};
	const since = (row) => (row.since ? span(model.second - row.since) : "");
	const lines = new Lines($("wrong-table"), "What is wrong", [["what", what], ["why", (row) => row.why, "why"], ["since", since, "dim"]]);
	return (troubles) => {
		const rows = troubles.slice(0, WRONG_MAX);
		const more = troubles.length - rows.length;
		if (more) rows.push({ look: "unknown", what: `and ${more} more`, why: "", filter: "-state:up" });
		if (!rows.length) rows.push({ look: "up", what: "no backend is down", why: "" });
		$("wrong").className = troubles.length ? "" : "fine";
		put($("wrong-title"), troubles.length ? "What is wrong" : "Nothing is wrong");
		lines.draw(rows, ({ node, row }) => (node.title = row.why));
	};
}

// Services and pools. Gives what draws them.
export function lists(model, pick) {
	const numbers = (kind) => [
		["rate", (it) => rate(it.rate), "num"],
		["90 s", (it, cell) => spark(cell, model.ring(`${kind}:${it.name}`), model.at), "spark"],
		["errors", (it) => rate(it.errors_rate), "num"],
		["p50", (it) => ms(it.p50_ms), "num"],
		["p99", (it) => ms(it.p99_ms), "num"],
		["active", (it) => number(it.active), "num"],
	];
	const pool = (it, cell) => {
		const state = it.up === it.backends ? "up" : it.up ? "degraded" : "down";
		mark(cell, state, it.name, "button", { className: "plain", onclick: (event) => pick(`pool:${event.target.said}`) });
	};
	const strip = (it, cell) => {
		if (cell.pool !== it.name) {
			cell.pool = it.name;
			cell.strip = new Strip(model, it.name, (row) => pick(row.key));
			cell.replaceChildren(cell.strip.canvas);
		}
		cell.strip.draw();
	};
	const services = new Lines($("services-table"), "Services", [
		["service", (it) => it.name], ["", (it) => it.mode, "dim"], ["to", (it) => it.pools.join(", "), "why"], ...numbers("service"),
	]);
	const pools = new Lines($("pools-table"), "Pools", [
		["pool", pool], ["algorithm", (it) => it.algorithm, "why"],
		["up", (it) => (it.up === it.backends ? it.up : `${it.up} / ${it.backends}`), "num"],
		...numbers("pool"), ["shares", strip, "shares"],
	]);
	return () => {
		services.draw(model.services, ({ node, row }) => (node.title = row.listeners.join(", ")));
		pools.draw(model.pools);
	};
}

const EVENTS_MAX = 200;

// What each kind of event says: how it looks, what, and why.
const EVENTS = {
	health: (it) => [look(it.health), it.backend, it.reason ? `${it.health}: ${it.reason}` : it.health],
	audit: (it) => [it.status < 400 ? "unknown" : "degraded", it.who, `${it.what}, ${it.status}${it.reason ? `, “${it.reason}”` : ""}`],
	change: (it) => ["unknown", "change", it.receipt.text],
	process: (it) => ["unknown", "process", it.state],
};

export function happened(kind, data) {
	const [state, what, why] = EVENTS[kind]?.(data) ?? ["unknown", kind, ""];
	const list = $("events-list");
	const item = el("li", { title: `${what}: ${why}` }, el("time", {}, clock(Date.parse(data.time) / 1000)));
	mark(item, state, what, "b");
	item.append(el("span", { className: "why" }, why));
	list.prepend(item);
	if (list.children.length > EVENTS_MAX) list.lastChild.remove();
}

const CLIENT = ["client", (it) => it.client ?? "–"];
const BACKEND = ["backend", (it) => it.backend ?? "–"];
const WHAT = ["", (it) => it.request ?? it.doing ?? "", "why"];

const TOPS = [
	["longest connections", "top?what=longest", [CLIENT, ["for", (it) => span(it.age_s), "num"], BACKEND, WHAT]],
	["slowest requests", "top?what=slowest", [CLIENT, ["took", (it) => ms(it.total_ms), "num"], BACKEND, WHAT]],
	["top clients", "top?what=clients", [CLIENT, ["open", (it) => number(it.connections), "num"], WHAT]],
	["last picks", "picks?", [
		CLIENT, ["backend", (it) => it.choice ?? "–"],
		["why", ({ by, candidates }) => `${by}: ${candidates.map((it) => `${it.name} ${it.compared ?? ""}`).join(", ")}`, "why"],
	]],
];

// What is under way. `paths` are those that this balancer has.
export function now(paths) {
	now.parts ??= TOPS.map(([title, path, columns]) => {
		const table = el("table");
		const box = el("div", {}, el("h3", {}, title), table);
		$("live-tables").append(box);
		return { path, box, lines: new Lines(table, title, columns) };
	});
	for (const it of now.parts) it.box.hidden = !paths.includes(`/api/v1/${it.path.split("?")[0]}`);
	$("live").hidden = now.parts.every((it) => it.box.hidden);
}

setInterval(() => {
	for (const { path, lines, box } of now.parts ?? []) {
		if (!box.hidden && !document.hidden) ask(`/api/v1/${path}&limit=8`).then((told) => lines.draw(told.items), () => {});
	}
}, 3000);

export function tab(state, text) {
	document.title = text;
	shape($("worst"), state);
	const { glyph, colour } = LOOKS[state];
	const svg = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><text y='14' font-size='17' fill='${colour}'>${glyph}</text></svg>`;
	const icon = `data:image/svg+xml,${encodeURIComponent(svg)}`;
	if ($("icon").href !== icon) $("icon").href = icon;
}
