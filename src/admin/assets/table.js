// The table of backends: sorted, filtered, and with only as many rows in the document as are seen.

import { $, LOOKS, el, ms, number, percent, put, rate, set, span } from "./format.js";
import { Lines, mark, part, spark } from "./lines.js";
import { watch } from "./map.js";

const ROW = 26;
// Rows beyond the edge, so that scrolling shows no blank.
const BEYOND = 6;

const of = (is, most) => (most ? `${is} / ${number(most)}` : is);

// Columns of `Lines`, then the member (or what) to sort by, and which way is first.
const columns = (table) => [
	["state", (row, cell) => void mark(cell, row.look, row.state), "state", (row) => LOOKS[row.look].rank, 1],
	["backend", name, "name", "key", 1],
	["address", (row) => row.address, "address", "address", 1],
	["weight", (row) => of(number(row.effective), row.effective === row.weight ? 0 : row.weight), "weight num", "effective"],
	["active", (row) => of(number(row.active), row.max), "active num", "active"],
	["queue", (row) => number(row.waiting), "queue num", "waiting"],
	["rate", (row) => rate(row.rate), "rate num", "rate"],
	["90 s", (row, cell) => spark(cell, row.ring, table.model.at), "spark"],
	["share", share, "share", "ratio"],
	["p50", (row) => ms(row.p50_ms), "p50 num", "p50_ms"],
	["p99", (row) => ms(row.p99_ms), "p99 num", "p99_ms"],
	["errors", (row) => rate(row.errors_rate), "errors num", "errors_rate"],
	["retries", (row) => number(row.retries), "retries num", "retries"],
	["since", (row) => span(table.model.second - row.since), "since num", (row) => -row.since, 1],
	["last check", check, "check", "check", 1],
];

function name(row, cell) {
	put(part(cell, "pool", () => el("span", { className: "dim" })), `${row.pool}/`);
	put(part(cell, "name", () => el("span", { className: "plain" })), row.name);
}

function share(row, cell) {
	const bar = part(cell, "bar", () => el("span", { className: "bar" }, el("i")));
	bar.firstChild.style.transform = `scaleX(${Math.min((row.ratio || 0) / 2, 1).toFixed(2)})`;
	put(part(cell, "text", () => el("span")), percent(row.share));
}

function check(row, cell) {
	put(part(cell, "text", () => el("span")), row.check ?? row.reason ?? "–");
	const buttons = part(cell, "buttons", () =>
		el("span", {}, ...["drain", "ready", "weight"].map((it) => el("button", { value: it }, it))));
	if (buttons.className !== row.admin) buttons.className = row.admin;
}

function filter(text) {
	const tests = text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
		const test = term(word.replace(/^-(?=.)/, ""));
		return /^-./.test(word) ? (row) => !test(row) : test;
	});
	return (row) => tests.every((test) => test(row));
}

function term(word) {
	const [, name, way, limit] = /^(\w+)([<>])([\d.]+)$/.exec(word) ?? [];
	if (name) {
		const value = (row) => row[name] ?? row[`${name}_ms`] ?? row[`${name}_rate`];
		return way === ">" ? (row) => value(row) > limit : (row) => value(row) < limit;
	}
	const [, key, wanted] = /^(state|pool):(.*)$/.exec(word) ?? [];
	if (key === "pool") return (row) => row.pool.toLowerCase() === wanted;
	if (key) return (row) => [row.state, row.look, row.admin].includes(wanted);
	return (row) => [row.key, row.address, row.reason, row.check].some((it) => it?.toLowerCase().includes(word));
}

export class Table {
	rows = [];
	top = 0;
	#test = () => true;
	// The key of the backend that the keyboard is at.
	#current = null;

	constructor(model, on) {
		Object.assign(this, { model, on, box: $("rows") });
		this.columns = columns(this);
		const table = $("rows-table");
		table.append(el("colgroup", {}, ...this.columns.map(([, , name]) => el("col", { className: name }))));
		this.lines = new Lines(table, "Backends; arrow keys go from one to the next", this.columns);
		this.lines.heads.forEach((head, at) => {
			if (this.columns[at][3]) head.replaceChildren(el("button", { onclick: () => this.sort(at) }, head.textContent));
		});
		this.sort(0);
		const { body } = this.lines;
		body.addEventListener("keydown", (event) => this.#key(event));
		body.addEventListener("click", ({ target }) => {
			const { row } = target.closest("tr").line;
			this.#current = row.key;
			if (target.value) on.act(target.value, row);
			else if (target.className === "plain") on.open(row);
			this.draw();
		});
		this.box.addEventListener("scroll", () => this.draw((this.top = this.box.scrollTop)));
		watch(this.box, () => this.draw());
	}

	sort(at) {
		this.up = at === this.by ? !this.up : Boolean(this.columns[at][4]);
		this.by = at;
		for (const head of this.lines.heads) head.ariaSort = null;
		this.lines.heads[at].ariaSort = this.up ? "ascending" : "descending";
		this.update(true);
	}

	filter(text) {
		this.#test = filter(text);
		this.box.scrollTop = this.top = 0;
		this.update(true);
	}

	update(moves = !this.box.matches(":hover, :focus-within")) {
		const by = this.columns[this.by][3];
		const way = this.up || !moves ? 1 : -1;
		const old = moves ? null : new Map(this.rows.map((row, at) => [row.key, at]));
		this.rows = this.model.list.filter(this.#test);
		for (const row of this.rows) row.by = old ? old.get(row.key) ?? old.size : (by.call ? by(row) : row[by]) || "";
		this.rows.sort((a, b) => (a.by < b.by ? -way : a.by > b.by ? way : a.key < b.key ? -1 : 1));
		this.draw();
	}

	draw() {
		const { rows, box, lines } = this;
		const room = Math.ceil((box.room?.height ?? 0) / ROW) + 2 * BEYOND;
		const first = Math.max(0, Math.min(Math.floor(this.top / ROW) - BEYOND, rows.length - room));
		const shown = rows.slice(first, first + room);
		const focused = lines.body.contains(document.activeElement);
		if (!rows.some((row) => row.key === this.#current)) this.#current = rows[0]?.key;
		const table = $("rows-table");
		set(table, "className", this.model.columns.map((it) => `has-${it}`).join(" "));
		table.ariaRowCount = rows.length + 1;
		lines.draw(shown, (line, at) => {
			const { node, row } = line;
			const current = row.key === this.#current;
			set(node, "title", `${row.key}: ${row.reason ?? row.state}`);
			set(node, "className", `is-${row.look}`);
			if (line.current !== current) {
				line.current = current;
				for (const it of [node, ...node.querySelectorAll("button")]) it.tabIndex = current ? 0 : -1;
			}
			if (line.at !== first + at) node.ariaRowIndex = 2 + (line.at = first + at);
			if (current && focused && !node.contains(document.activeElement)) node.focus({ preventScroll: true });
		});
		table.style.margin = `${first * ROW}px 0 ${(rows.length - first - shown.length) * ROW}px`;
	}

	#key(event) {
		const { rows } = this;
		if (event.ctrlKey || event.altKey || event.metaKey) return;
		const at = rows.findIndex((row) => row.key === this.#current);
		const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
		const act = { d: "drain", r: "ready", w: "weight" }[event.key];
		if (to !== undefined) this.#go(Math.max(0, Math.min(to, rows.length - 1)));
		else if (act) this.on.act(act, rows[at]);
		else if (event.key === "Enter" && event.target.tagName === "TR") this.on.open(rows[at]);
		else return;
		event.preventDefault();
	}

	#go(at) {
		const { box } = this;
		this.#current = this.rows[at].key;
		box.scrollTop = this.top = Math.min(Math.max(this.top, (at + 2) * ROW - box.room.height), at * ROW);
		this.draw();
	}
}
