// Pictures of many backends at once: a cell for each, and for each pool the strip of its shares.
// One canvas each, whatever the number of backends; the pointer says which one is there.

import { $, LOOKS, el, label, number, percent, put, rate } from "./format.js";

const CELL = 11;
/** With more pools than this, none has a line of its own. */
const LINES_MAX = 10;
/** Strengths of colour for the load. */
const STRENGTHS = 5;

const sizes = new ResizeObserver((all) => {
	for (const { target, contentRect } of all) {
		target.room = contentRect;
		target.redraw();
	}
});

/** Keeps `node.room`: who asks a node for its size makes the browser lay out all of the page. */
export function watch(node, redraw) {
	node.redraw = redraw;
	sizes.observe(node);
}

/** The context of a canvas, cleared and as sharp as the screen. */
export function sharp(canvas, width, height) {
	const ratio = window.devicePixelRatio;
	const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
	if (canvas.width !== wide) canvas.width = wide;
	if (canvas.height !== high) canvas.height = high;
	const context = canvas.getContext("2d");
	context.setTransform(ratio, 0, 0, ratio, 0, 0);
	context.globalAlpha = 1;
	context.clearRect(0, 0, width, height);
	context.font = `11px ${colour("font")}`;
	return context;
}

let known = {};

/** A colour of style.css. */
export function colour(name) {
	return (known[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`));
}

/** The theme is another one. */
export function forget() {
	known = {};
}

/** What is at the pointer, in words beside it, and what a click on it does. */
function points(canvas, find, on) {
	canvas.addEventListener("pointermove", (event) => {
		const row = find(event.offsetX, event.offsetY);
		const tip = $("tip");
		tip.hidden = !row;
		if (!row) return;
		const got = row.share >= 0 ? `\nshare ${percent(row.share)}, fair ${percent(row.fair)}` : "";
		put(tip, `${row.key}: ${row.state}\n${rate(row.rate)}/s, ${number(row.active)} active${got}`);
		tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
		tip.style.top = `${Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8)}px`;
	});
	canvas.addEventListener("pointerleave", () => ($("tip").hidden = true));
	canvas.addEventListener("click", (event) => {
		const row = find(event.offsetX, event.offsetY);
		if (row) on(row);
	});
}

/** What is not up has another form, not only another colour. */
const FORMS = {
	down: (path, x, y) => triangle(path, x, y, y + 9),
	degraded: (path, x, y) => triangle(path, x, y + 9, y),
	draining: (path, x, y) => { path.moveTo(x + 5, y); path.arc(x + 5, y + 4.5, 4.5, Math.PI * 1.5, Math.PI / 2, true); },
	unknown: (path, x, y) => { path.moveTo(x + 8, y + 4.5); path.arc(x + 4.5, y + 4.5, 3, 0, 7); },
	maint: (path, x, y) => path.rect(x + 1, y + 3, 7, 3),
	up: (path, x, y) => path.rect(x + 1, y + 1, 7, 7),
};

function triangle(path, x, base, top) {
	path.moveTo(x, base);
	path.lineTo(x + 9, base);
	path.lineTo(x + 4.5, top);
}

/** A cell for each backend: how it looks by form and colour, its load by strength. */
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
		if (canvas.hidden || !canvas.room?.width) return;
		const { width } = canvas.room;
		const labels = this.#place(width);
		const height = this.cells.at(-1).y + CELL;
		canvas.style.height = `${height}px`;
		const context = sharp(canvas, width, height);
		context.textBaseline = "top";
		context.fillStyle = colour("dim");
		for (const [name, y] of labels) context.fillText(name.slice(0, 13), 0, y);
		const most = model.list.reduce((most, row) => Math.max(most, row.rate), 1);
		// One path for all cells that are filled alike.
		const paths = {};
		for (const { row, x, y } of this.cells) {
			const strength = row.look === "up" ? Math.round(STRENGTHS * Math.sqrt(row.rate / most)) : STRENGTHS;
			const path = (paths[`${row.look} ${strength || 0}`] ??= new Path2D());
			FORMS[row.look](path, x, y);
		}
		for (const [fill, path] of Object.entries(paths)) {
			const [look, strength] = fill.split(" ");
			context.globalAlpha = 0.3 + (0.7 * strength) / STRENGTHS;
			context.fillStyle = LOOKS[look].colour;
			context.fill(path);
		}
		const counts = Object.entries(model.counts()).map(([look, count]) => `${count} ${look}`);
		label(canvas, `Map of the backends: ${counts.join(", ")}`);
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

/**
 * The shares of a pool: each backend is as wide as its fair part, and as high as it got of that.
 * If all is even, it is a flat field up to the line.
 */
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
		if (!canvas.room?.width) return;
		const { width, height } = canvas.room;
		const context = sharp(canvas, width, height);
		const even = Math.round(height / 2);
		const gap = width / rows.length > 6 ? 1 : 0;
		const [fine, much] = [new Path2D(), new Path2D()];
		let x = 0, most = 0;
		for (const { fair, ratio } of rows) {
			const high = Math.min(ratio || 0, 2) * even;
			// Half as much again as it should have is worth a look.
			(ratio > 1.5 ? much : fine).rect(x, height - high, Math.max(fair * width - gap, 0.4), high);
			most = Math.max(most, ratio || 0);
			x += fair * width;
		}
		const fill = (paint, path) => { context.fillStyle = paint; context.fill(path); };
		context.fillStyle = colour("quiet");
		context.fillRect(0, even, width, even);
		fill(colour("share"), fine);
		fill(LOOKS.degraded.colour, much);
		context.fillStyle = colour("ink");
		context.fillRect(0, even, width, 1);
		label(canvas, `the most that a backend got is ${most.toFixed(1)} times its fair part`);
	}
}
