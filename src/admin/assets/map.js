// Pictures of many backends at once: a cell for each, and for each pool the strip of its shares.

import { $, LOOKS, el, number, percent, rate, set } from "./format.js";

const CELL = 11;
const LINES_MAX = 10;
const STRENGTHS = 5;

const sizes = new ResizeObserver((all) => {
	for (const { target, contentRect } of all) {
		target.room = contentRect;
		target.redraw();
	}
});

const sights = new IntersectionObserver((all) => {
	for (const { target, isIntersecting } of all) {
		target.seen = isIntersecting;
		if (isIntersecting) target.redraw();
	}
});

// Keeps `node.room` and `node.seen`: to ask a node for its size makes the browser lay out the page,
// and what nobody sees need not be drawn.
export function watch(node, redraw) {
	node.redraw = redraw;
	sizes.observe(node);
	sights.observe(node);
}

// The context of a canvas, cleared and as sharp as the screen.
export function sharp(canvas, width, height) {
	const ratio = window.devicePixelRatio;
	const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
	if (canvas.width !== wide) canvas.width = wide;
	if (canvas.height !== high) canvas.height = high;
	const context = canvas.getContext("2d");
	context.setTransform(ratio, 0, 0, ratio, 0, 0);
	context.globalAlpha = 1;
	context.clearRect(0, 0, width, height);
	context.font = "11px system-ui, sans-serif";
	return context;
}

let known = {};

// A colour of style.css.
export function colour(name) {
	return (known[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`));
}

export function forget() {
	known = {};
}

function points(canvas, find, on) {
	canvas.onpointermove = ({ offsetX, offsetY }) => {
		const row = find(offsetX, offsetY);
		canvas.title = !row ? "" : `${row.key}: ${row.state}
${rate(row.rate)}/s, ${number(row.active)} active
share ${percent(row.share)}, fair ${percent(row.fair)}`;
	};
	canvas.onclick = ({ offsetX, offsetY }) => {
		const row = find(offsetX, offsetY);
		if (row) on(row);
	};
}

// A cell for each backend: how it looks by form and colour, its load by strength.
export class CellMap {
	cells = [];

	constructor(model, on) {
		Object.assign(this, { model, canvas: $("map") });
		const hits = (at, place) => at >= place && at < place + CELL;
		points(this.canvas, (x, y) => this.cells.find((it) => hits(x, it.x) && hits(y, it.y))?.row, on);
		watch(this.canvas, () => this.draw());
	}

	draw() {
		const { canvas, model } = this;
		canvas.hidden = model.list.length < 25;
		if (canvas.hidden || !canvas.seen) return;
		const { width } = canvas.room;
		const labels = this.#place(width);
		const height = this.cells.at(-1).y + CELL;
		canvas.style.height = `${height}px`;
		const context = sharp(canvas, width, height);
		context.textBaseline = "top";
		context.fillStyle = colour("dim");
		for (const [name, y] of labels) context.fillText(name.slice(0, 13), 0, y);
		const most = model.list.reduce((most, row) => Math.max(most, row.rate), 1);
		const paths = Array.from({ length: STRENGTHS + 1 }, () => new Path2D());
		for (const { row, x, y } of this.cells) {
			if (row.look === "up") {
				paths[Math.round(STRENGTHS * Math.sqrt(row.rate / most)) || 0].rect(x + 1, y + 1, 7, 7);
			} else {
				context.fillStyle = LOOKS[row.look].colour;
				context.fillText(LOOKS[row.look].glyph, x, y - 1);
			}
		}
		context.fillStyle = LOOKS.up.colour;
		paths.forEach((path, strength) => {
			context.globalAlpha = 0.3 + (0.7 * strength) / STRENGTHS;
			context.fill(path);
		});
		set(canvas, "ariaLabel", `${model.list.length} backends, a cell for each; the table has the same`);
	}

	#place(width) {
		const { members } = this.model;
		const lined = members.size > 1 && members.size <= LINES_MAX;
		const left = lined ? 84 : 0;
		const across = Math.max(1, Math.floor((width - left) / CELL));
		const labels = [];
		let column = 0, y = 0;
		this.cells = [];
		for (const [name, rows] of members) {
			if (lined) {
				if (column) y += CELL + 4;
				column = 0;
				labels.push([name, y]);
			}
			for (const row of rows) {
				if (column === across) [column, y] = [0, y + CELL];
				this.cells.push({ row, x: left + column * CELL, y });
				column += 1;
			}
		}
		return labels;
	}
}

// The shares of a pool: each backend is as wide as its fair part, and as high as it got of that.
export class Strip {
	constructor(model, pool, on) {
		this.canvas = el("canvas", { className: "strip", role: "img" });
		const rows = () => model.members.get(pool) ?? [];
		const find = (x) => rows().find((row) => (x -= row.fair * this.canvas.room.width) < 0);
		points(this.canvas, find, on);
		this.draw = () => this.#draw(rows());
		watch(this.canvas, this.draw);
	}

	#draw(rows) {
		const { canvas } = this;
		if (!canvas.seen) return;
		const { width, height } = canvas.room;
		const context = sharp(canvas, width, height);
		const even = Math.round(height / 2);
		const gap = width / rows.length > 6 ? 1 : 0;
		const share = colour("share");
		context.fillStyle = colour("quiet");
		context.fillRect(0, even, width, even);
		let x = 0, most = 0;
		for (const { fair, ratio } of rows) {
			const high = Math.min(ratio || 0, 2) * even;
			context.fillStyle = ratio > 1.5 ? LOOKS.degraded.colour : share;
			context.fillRect(x, height - high, Math.max(fair * width - gap, 0.4), high);
			most = Math.max(most, ratio || 0);
			x += fair * width;
		}
		context.fillStyle = colour("ink");
		context.fillRect(0, even, width, 1);
		set(canvas, "ariaLabel", `the most that a backend got is ${most.toFixed(1)} times its fair part`);
	}
}
