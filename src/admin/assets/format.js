// Numbers and times as they are read, and the few lines that build elements. Text from outside
// goes through `put` or `el`, and so stays text.

export const $ = (id) => document.getElementById(id);

export function el(tag, properties = {}, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(properties)) {
		if (name in node) node[name] = value;
		else node.setAttribute(name, value);
	}
	node.append(...children);
	return node;
}

// What is the same is not written again: a document that is left alone costs nothing.
export function put(node, text) {
	if (node.said === text) return;
	(node.firstChild ?? node.appendChild(new Text())).data = node.said = text;
}

export function set(node, name, value) {
	if (node[name] !== value) node[name] = value;
}

const is = Number.isFinite;
const three = (n) => n.toFixed(n >= 99.5 ? 0 : n >= 9.95 ? 1 : 2);
const two = (n) => String(Math.floor(n)).padStart(2, "0");

// 0.25, 9, 840, 9,120, 12.3k, 4.51M
export function number(n) {
	if (!is(n)) return "–";
	if (n >= 999_500) return `${three(n / 1e6)}M`;
	if (n >= 10_000) return `${three(n / 1e3)}k`;
	if (n >= 1000) return String(Math.round(n)).replace(/...$/, ",$&");
	return Number.isInteger(n) ? String(n) : three(n);
}

export const rate = (n) => (n > 0 && n < 9.95 ? n.toFixed(1) : number(is(n) ? Math.round(n) : n));

export function ms(n) {
	if (!is(n)) return "–";
	if (n >= 999.5) return `${three(n / 1000)} s`;
	return `${n >= 9.95 ? Math.round(n) : n.toFixed(n < 1 ? 2 : 1)} ms`;
}

export function bytes(n) {
	if (!is(n)) return "–";
	const at = Math.floor(Math.log2(n + 1) / 10);
	return `${three(n / 1024 ** at)} ${["B", "KiB", "MiB", "GiB", "TiB"][at]}`;
}

export const percent = (part) =>
	is(part) ? `${(part * 100).toFixed(part >= 0.0995 ? 0 : part >= 0.00995 || !part ? 1 : 2)} %` : "–";

export function span(seconds) {
	const s = Math.max(0, Math.floor(seconds));
	if (s < 100) return `${s} s`;
	if (s < 6000) return `${Math.floor(s / 60)} m`;
	if (s < 172_800) return `${Math.floor(s / 3600)} h ${two((s % 3600) / 60)} m`;
	return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

export function clock(second, precise = true) {
	const it = new Date(second * 1000);
	return [it.getHours(), it.getMinutes(), it.getSeconds()].slice(0, precise ? 3 : 2).map(two).join(":");
}

export const day = (second) =>
	new Date(second * 1000).toLocaleDateString("en", { weekday: "short", day: "numeric" });

// How a state looks: one of these, the worst first, each with a form and a colour of its own.
export const LOOKS = {
	down: { rank: 0, glyph: "▼", colour: "#d55e00" },
	degraded: { rank: 1, glyph: "▲", colour: "#e69f00" },
	draining: { rank: 2, glyph: "◐", colour: "#56b4e9" },
	maint: { rank: 3, glyph: "■", colour: "#999" },
	unknown: { rank: 4, glyph: "○", colour: "#999" },
	up: { rank: 5, glyph: "●", colour: "#009e73" },
};

// Form and colour of a state, for the eye: its word is beside.
export function shape(node, look) {
	const { glyph, colour } = LOOKS[look];
	if (node.said !== glyph) node.style.color = colour;
	put(node, glyph);
}

export function look(state) {
	if (state === "full" || state === "ejected") return "degraded";
	return LOOKS[state] ? state : "unknown";
}
