// The panel of history: two sides, each with the charts of one subject, over the same time.

import { $, clock, day, el, ms, number, put, rate, set } from "./format.js";
import { ask } from "./live.js";
import { colour, sharp, watch } from "./map.js";

const SPANS = { "10m": 600, "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800 };

const KINDS = [
	{ title: "requests/s", unit: rate, lines: [{ key: "rate", colour: "s1", fill: true }] },
	{ title: "response time", unit: ms, lines: [{ key: "p99_ms", colour: "s2" }, { key: "p50_ms", colour: "s1" }] },
	{ title: "errors/s", unit: rate, lines: [{ key: "errors", colour: "bad", fill: true }] },
	{ title: "open", unit: number, lines: [{ key: "waiting", colour: "s2" }, { key: "active", colour: "s1", fill: true }] },
];

const LEFT = 52;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 18;

const STEPS = [10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];

// The least of 1, 2, 2.5, 5, 10 ... that is not under it.
function nice(most) {
	const ten = 10 ** Math.floor(Math.log10(most || 1));
	return [1, 2, 2.5, 5, 10].map((it) => it * ten).find((it) => it >= most);
}

// Pixels as [x, least, most]; null is a gap.
function decimate(points, xOf, first, last) {
	const out = [];
	let pixel = null;
	for (let at = first; at <= last; at += 1) {
		const value = points[at];
		if (value !== value) {
			if (pixel) out.push((pixel = null));
			continue;
		}
		const x = Math.round(xOf(at));
		if (pixel?.[0] === x) {
			pixel[1] = Math.min(pixel[1], value);
			pixel[2] = Math.max(pixel[2], value);
		} else out.push((pixel = [x, value, value]));
	}
	return out;
}

export class Charts {
	// What is zoomed to; without it the charts follow the clock.
	zoom = null;
	hover = null;

	constructor(model) {
		Object.assign(this, { model, span: "10m" });
		this.buttons = Object.keys(SPANS).map((it) => el("button", { onclick: () => this.choose(it), value: it }, it.replace(/(\D)/, " $1")));
		$("spans").append(...this.buttons);
		this.sides = [...document.querySelectorAll(".side")].map((root, at) => new Side(this, root, at ? null : "process"));
		this.#load();
	}

	choose(span) {
		this.span = Object.keys(SPANS)[span] ?? span;
		this.zoom = null;
		this.#load();
	}

	// From the finest ring that reaches back so far.
	#zoomTo(from, to) {
		const now = this.model.second;
		if (to - from < 8) return;
		this.zoom = { from, to: Math.min(to, now) };
		this.span = Object.keys(SPANS).find((it) => now - SPANS[it] <= from) ?? "7d";
		this.#load();
	}

	view() {
		const to = this.model.second || Date.now() / 1000;
		return this.zoom ?? { from: to - SPANS[this.span], to };
	}

	#load() {
		for (const it of this.buttons) it.ariaPressed = it.value === this.span && !this.zoom;
		for (const side of this.sides) side.load();
	}

	show(of) {
		this.sides[0].choose(of);
		$("charts").scrollIntoView({ block: "nearest" });
	}

	update() {
		for (const side of this.sides) side.update();
		this.draw();
	}

	draw() {
		put($("charts-time"), this.hover ? `${day(this.hover)}, ${clock(this.hover)}` : "");
		for (const side of this.sides) side.draw();
	}

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

	constructor(owner, root, of) {
		Object.assign(this, { owner, of });
		this.select = el("select", { ariaLabel: "What these charts show", onchange: () => this.choose(this.select.value) });
		root.append(this.select);
		this.charts = KINDS.map((kind) => {
			const canvas = el("canvas", { tabIndex: 0, role: "img", ariaLabel: kind.title });
			const keys = kind.lines.map(({ key, colour }) => el("span", { className: `key ${colour}` }, `${key.split("_")[0]} `, el("b")));
			root.append(el("div", {}, el("p", {}, el("span", { className: "dim" }, kind.title), ...keys), canvas));
			const chart = Object.assign(new Chart(canvas, kind), { keys });
			owner.listen(chart, this);
			watch(canvas, () => this.draw());
			return chart;
		});
	}

	choose(of) {
		Object.assign(this, { of, data: null });
		this.load();
	}

	#options() {
		const names = [...this.owner.model.subjects().keys()];
		this.of ??= names.find((it) => it.startsWith("pool:"));
		if (this.of && !names.includes(this.of)) names.push(this.of);
		if (this.names !== names.join()) {
			this.names = names.join();
			this.select.replaceChildren(...names.map((it) => el("option", { value: it }, it.replace(":", " "))));
		}
		this.select.value = this.of;
	}

	async load() {
		this.#options();
		if (!this.owner.model.process || !this.of) return;
		const asked = (this.asked += 1);
		this.loaded = this.owner.model.second;
		const path = `/api/v1/history?of=${encodeURIComponent(this.of)}&span=${this.owner.span}`;
		const told = await ask(path).catch(() => null);
		if (!told || asked !== this.asked) return;
		const series = {};
		for (const [key, points] of Object.entries(told.series)) series[key] = points.map((it) => it ?? NaN);
		const count = Object.values(series)[0]?.length ?? 0;
		this.data = { series, count, step: told.step_s, end: told.end, begin: told.end - (count - 1) * told.step_s };
		this.draw();
	}

	// Goes on with what the stream says where a point is a second; else it is asked for again.
	update() {
		const { data, owner: { model, zoom } } = this;
		this.#options();
		if (zoom && data) return;
		const missed = data ? model.second - data.end : 0;
		if (data?.step === 1 && missed <= 5) {
			for (let left = missed; left > 0; left -= 1) this.#push(left > 1 ? {} : model.subjects().get(this.of) ?? {});
		} else if (model.second - this.loaded >= Math.max(data?.step ?? 5, 5)) this.load();
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
			if (!chart.canvas.seen) continue;
			chart.draw(data, view, owner.hover, this.picked);
			const at = data && Math.round((Math.min(owner.hover ?? view.to, data.end) - data.begin) / data.step);
			chart.lines.forEach(({ key }, n) => {
				chart.keys[n].hidden = data && !data.series[key];
				put(chart.keys[n].lastChild, chart.unit(data?.series[key]?.[at]));
			});
			set(chart.canvas, "ariaLabel", `${this.of} ${chart.canvas.previousSibling.textContent}`);
		}
	}
}

// One chart. Where a pixel has many points, a line goes from the least to the most of them.
class Chart {
	constructor(canvas, { lines, unit }) {
		Object.assign(this, { canvas, lines, unit });
	}

	x(second) {
		return LEFT + ((second - this.from) / (this.to - this.from)) * this.wide;
	}

	second(x) {
		return this.from + (Math.max(0, Math.min(x - LEFT, this.wide)) / this.wide) * (this.to - this.from);
	}

	// `data` is { begin, step, count, series }; `picked` are two times.
	draw(data, { from, to }, hover, picked) {
		const { width, height } = this.canvas.room;
		const context = sharp(this.canvas, width, height);
		const bottom = height - BOTTOM;
		Object.assign(this, { context, bottom, from, to, wide: width - LEFT - RIGHT });
		this.#times();
		const at = (second) => (data ? Math.round((second - data.begin) / data.step) : 0);
		const first = Math.max(0, at(from)), last = Math.min((data?.count ?? 0) - 1, at(to));
		const lines = this.lines.map(({ key }) =>
			decimate(data?.series[key] ?? [], (at) => this.x(data.begin + at * data.step), first, data?.series[key] ? last : -1));
		const most = nice(lines.flat().reduce((most, it) => Math.max(most, it?.[2] ?? 0), 0));
		const y = (value) => bottom - (value / most) * (bottom - TOP);
		this.#values(most, y);
		lines.forEach((points, at) => this.#line(this.lines[at], points, y));
		if (picked) this.#fill("s1", 0.2, this.x(picked[0]), this.x(picked[1]) - this.x(picked[0]));
		if (hover) this.#fill("ink", 0.5, Math.round(this.x(hover)), 1);
	}

	#fill(paint, alpha, x, wide) {
		const { context } = this;
		context.globalAlpha = alpha;
		context.fillStyle = colour(paint);
		context.fillRect(x, TOP, wide, this.bottom - TOP);
		context.globalAlpha = 1;
	}

	#line({ colour: paint, fill }, points, y) {
		const { context, bottom } = this;
		const [line, area] = [new Path2D(), new Path2D()];
		let last = null;
		for (const it of [...points, null]) {
			if (!it) {
				if (last) area.lineTo(last[0], bottom);
			} else {
				const [x, least, most] = it;
				// A point between two gaps is seen as well.
				if (!last) line.moveTo(x - 1, y(most));
				if (!last) area.moveTo(x, bottom);
				line.lineTo(x, y(most));
				if (least !== most) line.lineTo(x, y(least));
				area.lineTo(x, y(most));
			}
			last = it;
		}
		context.fillStyle = context.strokeStyle = colour(paint);
		context.lineWidth = 1.3;
		context.lineJoin = "round";
		context.stroke(line);
		context.globalAlpha = fill ? 0.14 : 0;
		context.fill(area);
		context.globalAlpha = 1;
	}

	#values(most, y) {
		const { context } = this;
		context.textAlign = "right";
		context.textBaseline = "middle";
		for (const value of [0, most / 2, most]) {
			context.fillStyle = colour("edge");
			context.fillRect(LEFT, Math.round(y(value)), this.wide, 1);
			context.fillStyle = colour("dim");
			context.fillText(value ? this.unit(value) : "0", LEFT - 6, y(value));
		}
	}

	#times() {
		const { context, from, to, wide, bottom } = this;
		const step = STEPS.find((it) => it * wide >= (to - from) * 80) ?? STEPS.at(-1);
		// Ticks are at whole hours of where the browser is.
		const shift = new Date(to * 1000).getTimezoneOffset() * 60;
		context.textAlign = "center";
		context.textBaseline = "alphabetic";
		for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) {
			const x = this.x(at);
			this.#fill("edge", 1, Math.round(x), 1);
			context.fillStyle = colour("dim");
			const text = (at - shift) % 86_400 ? clock(at, step < 60) : day(at);
			if (x > LEFT + 20 && x < LEFT + wide - 14) context.fillText(text, x, bottom + 14);
		}
	}
}
