// One chart: lines over time on a canvas. A path for each line; where a pixel has many points it
// goes from the least to the most of them; a gap in the data is a gap.

import { clock, day } from "./format.js";
import { colour, sharp } from "./map.js";

const LEFT = 52;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 18;

/** Distances of ticks, in seconds. */
const STEPS = [10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];

/** The least of 1, 2, 2.5, 5, 10 ... that is not under it. */
function nice(most) {
	const ten = 10 ** Math.floor(Math.log10(most || 1));
	return [1, 2, 2.5, 5, 10].map((it) => it * ten).find((it) => it >= most);
}

/** Pixels as [x, least, most]; null is a gap. */
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

export class Chart {
	/** `lines` are { key, colour, fill }; `unit` writes a value. */
	constructor(canvas, { lines, unit }) {
		Object.assign(this, { canvas, lines, unit });
	}

	x(second) {
		return LEFT + ((second - this.from) / (this.to - this.from)) * this.wide;
	}

	second(x) {
		return this.from + (Math.max(0, Math.min(x - LEFT, this.wide)) / this.wide) * (this.to - this.from);
	}

	/** `data` is { begin, step, count, series }; `picked` are two times. */
	draw(data, { from, to }, hover, picked) {
		if (!this.canvas.room?.width) return;
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
		if (!hover) return;
		this.#fill("ink", 0.5, Math.round(this.x(hover)), 1);
		for (const { key, colour: paint } of this.lines) {
			const value = data?.series[key]?.[at(hover)];
			if (!(value >= 0)) continue;
			context.fillStyle = colour(paint);
			context.beginPath();
			context.arc(this.x(hover) + 0.5, y(value), 3, 0, 7);
			context.fill();
		}
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
