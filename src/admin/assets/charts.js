// The panel of history: two sides, each with the charts of one subject, over the same time, so that
// two pools can be compared. The pointer shows the same moment in all of them.

import { $, clock, day, el, label, ms, number, put, rate } from "./format.js";
import { Chart } from "./chart.js";
import { ask } from "./live.js";
import { watch } from "./map.js";

const SPANS = { "10m": 600, "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800 };

const KINDS = [
	{ title: "requests/s", unit: rate, lines: [{ key: "rate", colour: "s1", fill: true }] },
	{ title: "response time", unit: ms, lines: [{ key: "p99_ms", colour: "s2", name: "p99 " }, { key: "p50_ms", colour: "s1", name: "p50 " }] },
	{ title: "errors/s", unit: rate, lines: [{ key: "errors", colour: "bad", fill: true }] },
	{ title: "", unit: number, lines: [{ key: "active", colour: "s1", name: "active ", fill: true }, { key: "waiting", colour: "s2", name: "waiting " }] },
];

export class Charts {
	/** What is zoomed to; without it the charts follow the clock. */
	zoom = null;
	hover = null;

	/** `kept` remembers what is looked at. */
	constructor(model, kept) {
		Object.assign(this, { model, kept, span: SPANS[kept.get("span")] ? kept.get("span") : "10m" });
		this.buttons = Object.keys(SPANS).map((it) => el("button", { onclick: () => this.choose(it), value: it }, it.replace(/(\D)/, " $1")));
		this.all = el("button", { onclick: () => this.choose(this.span) }, "show all");
		$("spans").append(this.all, ...this.buttons);
		this.sides = [...document.querySelectorAll(".side")].map((root, at) => new Side(this, root, at ? "right" : "left"));
		this.#load();
	}

	choose(span) {
		this.span = Object.keys(SPANS)[span] ?? span;
		this.zoom = null;
		this.kept.set("span", this.span);
		this.#load();
	}

	/** From the finest ring that reaches back so far. */
	#zoomTo(from, to) {
		const now = this.model.second;
		this.zoom = { from: Math.max(from, now - SPANS["7d"]), to: Math.min(to, now) };
		if (this.zoom.to - from < 8) return;
		this.span = Object.keys(SPANS).find((it) => now - SPANS[it] <= from) ?? "7d";
		this.#load();
	}

	view() {
		const to = this.model.second || Date.now() / 1000;
		return this.zoom ?? { from: to - SPANS[this.span], to };
	}

	#load() {
		for (const it of this.buttons) it.ariaPressed = it.value === this.span && !this.zoom;
		this.all.hidden = !this.zoom;
		for (const side of this.sides) side.load();
	}

	/** One backend, say. */
	show(of) {
		this.sides[0].choose(of);
		$("charts").scrollIntoView({ block: "nearest" });
	}

	/** New numbers. */
	update() {
		for (const side of this.sides) side.update();
		this.draw();
	}

	draw() {
		put($("charts-time"), this.hover ? `${day(this.hover)}, ${clock(this.hover)}` : "");
		for (const side of this.sides) side.draw();
	}

	/** Pointer and keys on a chart. */
	listen(chart, side) {
		const { canvas } = chart;
		let begun = null;
		const over = (at) => {
			this.hover = at;
			side.picked = begun && at ? [begun, at] : null;
			this.draw();
		};
		canvas.onpointerdown = (event) => {
			begun = chart.second(event.offsetX);
			canvas.setPointerCapture(event.pointerId);
		};
		canvas.onpointermove = (event) => over(chart.second(event.offsetX));
		canvas.onpointerup = (event) => {
			const times = [begun, chart.second(event.offsetX)].sort((a, b) => a - b);
			begun = side.picked = null;
			if (chart.x(times[1]) - chart.x(times[0]) > 6) this.#zoomTo(...times);
		};
		canvas.onpointerleave = canvas.onblur = () => over((begun = null));
		canvas.ondblclick = () => this.choose(this.span);
		canvas.onkeydown = (event) => {
			const { from, to } = this.view();
			const at = this.hover ?? to, long = to - from;
			const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
			if (move) over(Math.max(from, Math.min(at + (move * long) / 120, to)));
			else if (event.key === "+") this.#zoomTo(at - long / 4, at + long / 4);
			else if (event.key === "-") this.#zoomTo(at - long, at + long);
			else if (event.key === "Escape") this.choose(this.span);
			else return;
			event.preventDefault();
		};
	}
}

class Side {
	data = null;
	asked = 0;
	loaded = 0;

	constructor(owner, root, place) {
		Object.assign(this, { owner, root, place, of: owner.kept.get(place) ?? (place === "left" ? "process" : null) });
		this.select = el("select", { ariaLabel: `What the ${place} charts show`, onchange: () => this.choose(this.select.value) });
		root.append(this.select);
		this.charts = KINDS.map((kind) => {
			const canvas = el("canvas", { tabIndex: 0, role: "img" });
			const keys = kind.lines.map(({ name = "", colour }) => el("span", { className: `key ${colour}` }, name, el("b")));
			root.append(el("div", {}, el("p", {}, el("span", { className: "dim" }, kind.title), ...keys), canvas));
			const chart = Object.assign(new Chart(canvas, kind), { keys, title: kind.title });
			owner.listen(chart, this);
			watch(canvas, () => this.draw());
			return chart;
		});
	}

	choose(of) {
		Object.assign(this, { of, data: null });
		this.owner.kept.set(this.place, of);
		this.load();
	}

	/** What can be chosen. */
	#options() {
		const { services, pools } = this.owner.model;
		this.of ??= pools[0] && `pool:${pools[0].name}`;
		const names = ["process", ...services.map((it) => `service:${it.name}`), ...pools.map((it) => `pool:${it.name}`)];
		if (this.of && !names.includes(this.of)) names.push(this.of);
		if (this.names !== names.join()) {
			this.names = names.join();
			this.select.replaceChildren(...names.map((it) => el("option", { value: it }, it.replace(":", " "))));
		}
		this.select.value = this.of;
	}

	async load() {
		this.#options();
		if (!this.of) return;
		const asked = (this.asked += 1);
		this.loaded = this.owner.model.second;
		const path = `/api/v1/history?of=${encodeURIComponent(this.of)}&span=${this.owner.span}`;
		const told = await ask(path).catch(() => null);
		// Another one was chosen meanwhile, or there is nobody to answer.
		if (!told || asked !== this.asked) return;
		const series = {};
		for (const [key, points] of Object.entries(told.series)) series[key] = points.map((it) => it ?? NaN);
		const count = Object.values(series)[0]?.length ?? 0;
		this.data = { series, count, step: told.step_s, end: told.end, begin: told.end - (count - 1) * told.step_s };
		this.draw();
	}

	/** Goes on with what the stream says where a point is a second; else it is asked for again. */
	update() {
		const { data, owner: { model, zoom } } = this;
		this.#options();
		if (zoom && data) return;
		const missed = data ? model.second - data.end : 0;
		if (data?.step === 1 && missed <= 5) {
			for (let left = missed; left > 0; left -= 1) this.#push(left === 1 ? this.#now() : {});
		} else if (model.second - this.loaded >= Math.max(data?.step ?? 5, 5)) this.load();
	}

	#now() {
		const { process, services, pools } = this.owner.model;
		const all = [{ ...process, active: process.open, of: "process" }, ...services.map((it) => ({ ...it, of: `service:${it.name}` })), ...pools.map((it) => ({ ...it, of: `pool:${it.name}` }))];
		return all.find((it) => it.of === this.of) ?? {};
	}

	#push(values) {
		const { data } = this;
		for (const [key, points] of Object.entries(data.series)) {
			points.shift();
			points.push(values[key] ?? values[`${key}_rate`] ?? NaN);
		}
		data.end += 1;
		data.begin += 1;
	}

	draw() {
		const { data, owner } = this;
		const view = owner.view();
		for (const chart of this.charts) {
			chart.draw(data, view, owner.hover, this.picked);
			const at = data && Math.round((Math.min(owner.hover ?? view.to, data.end) - data.begin) / data.step);
			const words = chart.lines.map(({ key, name = "" }, n) => {
				const text = chart.unit(data?.series[key]?.[at]);
				chart.keys[n].hidden = data && !data.series[key];
				put(chart.keys[n].lastChild, text);
				return `${name}${text}`;
			});
			label(chart.canvas, `${this.of} ${chart.title}: ${words.join(", ")}`);
		}
	}
}
