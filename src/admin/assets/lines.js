// Tables whose rows are used again for whatever is shown there now, and what cells are made of.

import { el, put, set, shape } from "./format.js";
import { SECONDS } from "./model.js";

// A column is [title, text, class]: `text(row, cell)` gives the text, or fills the cell itself.
export class Lines {
	lines = [];

	constructor(table, caption, columns) {
		this.columns = columns;
		this.heads = columns.map(([title, , name = ""]) => el("th", { scope: "col", className: name }, title));
		this.body = el("tbody");
		table.append(el("caption", { className: "unseen" }, caption), el("thead", {}, el("tr", {}, ...this.heads)), this.body);
	}

	draw(rows, each) {
		const { columns, lines } = this;
		while (lines.length < rows.length) {
			const cells = columns.map(([, , name = ""]) => el("td", { className: name }));
			const node = el("tr", {}, ...cells);
			lines.push((node.line = { node, cells }));
			this.body.append(node);
		}
		lines.forEach((line, at) => {
			const row = (line.row = rows[at]);
			set(line.node, "hidden", !row);
			if (!row) return;
			for (let at = 0; at < columns.length; at += 1) {
				const text = columns[at][1](row, line.cells[at]);
				if (text !== undefined) put(line.cells[at], text);
			}
			each?.(line, at);
		});
	}
}

export function part(cell, name, make) {
	return ((cell.parts ??= {})[name] ??= cell.appendChild(make()));
}

export function mark(cell, look, text, tag = "span", properties = {}) {
	shape(part(cell, "glyph", () => el("i", { ariaHidden: "true" })), look);
	const word = part(cell, "word", () => el(tag, properties));
	put(word, text);
	return word;
}

const SVG = "http://www.w3.org/2000/svg";
const STEP = 84 / (SECONDS - 1);
const HIGH = 18;

// A ring as a sparkline; seconds that nobody knows are a gap.
export function spark(cell, ring, last) {
	const path = (cell.path ??= document.createElementNS(SVG, "path"));
	part(cell, "svg", () => {
		const svg = document.createElementNS(SVG, "svg");
		svg.setAttribute("aria-hidden", "true");
		svg.append(path);
		return svg;
	});
	let most = 1;
	for (const value of ring) if (value > most) most = value;
	let d = "", pen = "M";
	for (let n = 0; n < SECONDS; n += 1) {
		const value = ring[(last + 1 + n) % SECONDS];
		if (value === value) {
			d += `${pen}${Math.round(n * STEP)} ${(HIGH - 1 - (value / most) * (HIGH - 2)).toFixed(1)}`;
			pen = "L";
		} else pen = "M";
	}
	path.setAttribute("d", d);
}
