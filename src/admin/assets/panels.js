// The panels that are lists: figures, what is wrong, services, pools, events, what is under way.

import { $, LOOKS, bytes, classes, clock, el, label, look, ms, number, percent, put, rate, span } from "./format.js";
import { Lines, mark, part, spark } from "./lines.js";
import { Strip } from "./map.js";
import { ask } from "./live.js";

/** Title, text, and when it is bad. */
const FIGURES = [
	["requests/s", (it) => rate(it.rate)],
	["errors", (it) => percent(it.errors_rate / it.rate), (it) => it.errors_rate > 0.01 * it.rate],
	["p50", (it) => ms(it.p50_ms)],
	["p99", (it) => ms(it.p99_ms)],
	["bytes/s", (it) => bytes(it.bytes_rate)],
	["open", (it) => `${number(it.open)} / ${number(it.limit)}`, (it) => it.open > 0.8 * it.limit],
	["turn p99", (it) => ms(it.turn_p99_ms)],
	["files", (it) => `${number(it.fds)} / ${number(it.fds_max)}`, (it) => it.fds > 0.8 * it.fds_max],
	["memory", (it) => bytes(it.memory)],
];

/** The line at the top. */
export function figures({ process: it, second }) {
	const all = $("figures");
	if (!all.firstChild) all.append(...FIGURES.map(([title]) => el("div", {}, el("dt", {}, title), el("dd"))));
	FIGURES.forEach(([, text, bad], at) => {
		put(all.children[at].lastChild, text(it));
		classes(all.children[at], bad?.(it) ? "bad" : "");
	});
	put($("version"), it.version);
	const reload = it.reload ? ` · reload ${it.reload.ok ? "good" : "failed"} ${span(second - it.reload.at)} ago` : "";
	put($("link"), `up ${span(second - it.started)} · generation ${it.generation}${reload}`);
}

/** More than this are one line. */
const WRONG_MAX = 12;

/** What is wrong, the worst first; a click shows it in the table. */
export class Wrong {
	constructor(model, pick) {
		const what = (row, cell) => {
			const it = mark(cell, row.look, row.what, "button", { className: "plain", onclick: () => pick(it.filter) });
			it.filter = row.filter;
			it.disabled = !row.filter;
			label(cell.parts.glyph, row.look);
		};
		const since = (row) => (row.since ? span(model.second - row.since) : "");
		this.lines = new Lines($("wrong-table"), "What is wrong", [["what", what], ["why", (row) => row.why, "why"], ["since", since, "dim"]]);
		this.model = model;
	}

	draw(troubles) {
		const { list } = this.model;
		const rows = troubles.slice(0, WRONG_MAX);
		const more = troubles.length - rows.length;
		if (more) rows.push({ look: "unknown", what: `and ${more} more`, why: "", filter: "-state:up" });
		if (!rows.length) rows.push({ look: "up", what: `${number(list.length)} backends take requests`, why: "" });
		$("wrong").className = troubles.length ? "" : "fine";
		put($("wrong-title"), troubles.length ? "What is wrong" : "Nothing is wrong");
		this.lines.draw(rows, ({ node, row }) => {
			if (node.title !== row.why) node.title = row.why;
		});
	}
}

/** Services and pools. */
export class Lists {
	constructor(model, pick) {
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
			const name = mark(cell, state, it.name, "button", { className: "plain", onclick: () => pick(`pool:${name.said}`) });
		};
		const strip = (it, cell) => {
			if (cell.pool !== it.name) {
				cell.pool = it.name;
				cell.strip = new Strip(model, it.name, (row) => pick(row.key));
				cell.replaceChildren(cell.strip.canvas);
			}
			cell.strip.draw();
		};
		this.model = model;
		this.services = new Lines($("services-table"), "Services", [
			["service", (it) => it.name], ["", (it) => it.mode, "dim"], ["to", (it) => it.pools.join(", "), "dim cut"], ...numbers("service"),
		]);
		this.pools = new Lines($("pools-table"), "Pools", [
			["pool", pool], ["algorithm", (it) => it.algorithm, "dim cut"],
			["up", (it) => (it.up === it.backends ? number(it.up) : `${number(it.up)} / ${number(it.backends)}`), "num"],
			...numbers("pool"), ["queue", (it) => number(it.waiting), "num"], ["shares", strip, "shares"],
		]);
	}

	draw() {
		this.services.draw(this.model.services, ({ node, row }) => (node.title = row.listeners.join(", ")));
		this.pools.draw(this.model.pools);
	}
}

const EVENTS_MAX = 200;

/** What each kind of event says: how it looks, what, and why. */
const EVENTS = {
	health: (it) => [look(it.health), it.backend, it.reason ? `${it.health}: ${it.reason}` : it.health],
	audit: (it) => [it.status < 400 ? "said" : "degraded", it.who, `${it.what}, ${it.status}${it.reason ? `, “${it.reason}”` : ""}`],
	change: (it) => ["said", `generation ${it.receipt.generation}`, it.receipt.text],
	process: (it) => ["said", "process", it.state],
};

/** The newest first. */
export function happened(kind, data) {
	const [state, what, why] = EVENTS[kind]?.(data) ?? ["said", kind, ""];
	const list = $("events-list");
	list.prepend(el("li", { title: `${what}: ${why}` },
		el("time", {}, clock(Date.parse(data.time) / 1000)), el("span", { className: `glyph ${state}` }),
		el("b", {}, what), el("span", { className: "why" }, why)));
	if (list.children.length > EVENTS_MAX) list.lastChild.remove();
}

const CLIENT = ["client", (it) => it.client ?? "–"];
const BACKEND = ["backend", (it) => it.backend ?? "–"];
const WHAT = ["", (it) => it.request ?? it.service ?? "", "dim why"];

const TOPS = [
	["longest connections", "/api/v1/top?what=longest&limit=8", [CLIENT, ["for", (it) => span(it.age_s), "num"], BACKEND, WHAT]],
	["slowest requests", "/api/v1/top?what=slowest&limit=8", [CLIENT, ["took", (it) => ms(it.total_ms), "num"], BACKEND, WHAT]],
	["top clients", "/api/v1/top?what=clients&limit=8", [CLIENT, ["open", (it) => number(it.connections), "num"], WHAT]],
	["last picks", "/api/v1/picks?limit=8", [CLIENT, BACKEND, ["why", (it) => it.reason ?? "", "dim why"]]],
];

/** What is under way. What this balancer cannot tell is not shown. */
export class Now {
	constructor() {
		this.parts = TOPS.map(([title, path, columns]) => {
			const table = el("table");
			const box = el("div", {}, el("h3", {}, title), table);
			$("live-tables").append(box);
			return { path, box, lines: new Lines(table, title, columns) };
		});
		this.known([]);
		setInterval(() => this.poll(), 3000);
	}

	/** The paths that there are. */
	known(paths) {
		for (const it of this.parts) it.box.hidden = !paths.includes(it.path.split("?")[0]);
		$("live").hidden = this.parts.every((it) => it.box.hidden);
		this.poll();
	}

	poll() {
		for (const { path, lines, box } of this.parts) {
			if (!box.hidden && !document.hidden) ask(path).then((told) => lines.draw(told.items), () => {});
		}
	}
}

const SHAPES = {
	down: "M1 2h14l-7 12z", degraded: "M1 14h14l-7-12z", draining: "M8 2a6 6 0 000 12z", maint: "M2 4h12v8H2z",
	unknown: "M5 5h6v6H5z", up: "M8 2a6 6 0 000 12a6 6 0 000-12z",
};

/** Title and icon of the tab. */
export function tab(state, text) {
	document.title = text;
	classes($("worst"), `glyph ${state}`);
	const svg = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path fill='${LOOKS[state].colour}' d='${SHAPES[state]}'/></svg>`;
	const icon = `data:image/svg+xml,${encodeURIComponent(svg)}`;
	if ($("icon").href !== icon) $("icon").href = icon;
}
