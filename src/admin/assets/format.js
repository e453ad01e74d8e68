// Numbers and times as they are read, and the few lines that build elements. All text from outside
// goes through `put` or `el`, and so becomes text, never markup.

/** An element with properties and children; strings become text nodes. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export const $ = (id) => document.getElementById(id);

/** Sets a text, if it is another one: a DOM that is left alone costs nothing. */
export function put(node, text) {
  if (node.said !== text) node.textContent = node.said = text;
}

export function classes(node, text) {
  if (node.className !== text) node.className = text;
}

const NONE = "–";
const known = (n) => n !== null && n !== undefined && !Number.isNaN(n);

/** 0.25, 9.3, 840, 9,120, 12.3k, 4.51M */
export function number(n) {
  if (!known(n)) return NONE;
  if (n >= 999_500) return scaled(n / 1e6) + "M";
  if (n >= 10_000) return scaled(n / 1e3) + "k";
  if (n >= 1000) return Math.round(n).toLocaleString("en");
  return Number.isInteger(n) ? String(n) : scaled(n);
}

const scaled = (n) => n.toFixed(n >= 99.5 ? 0 : n >= 9.95 ? 1 : 2);

/** A rate: whole numbers would jump between 0 and 1. */
export const rate = (n) => (known(n) && n < 9.95 && n > 0 ? n.toFixed(1) : number(known(n) ? Math.round(n) : n));

export function ms(n) {
  if (!known(n)) return NONE;
  return n >= 999.5 ? `${scaled(n / 1000)} s` : `${n >= 9.95 ? Math.round(n) : n.toFixed(n < 1 ? 2 : 1)} ms`;
}

export function bytes(n) {
  if (!known(n)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (n >= 1000 && at < 4) { n /= 1024; at += 1; }
  return `${at ? scaled(n) : Math.round(n)} ${units[at]}`;
}

export function percent(part) {
  if (!known(part)) return NONE;
  const n = part * 100;
  return `${n >= 9.95 ? n.toFixed(0) : n >= 0.995 || n === 0 ? n.toFixed(1) : n.toFixed(2)} %`;
}

/** How long: 44 s, 12 m, 3 h 04 m, 3 d 4 h */
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 100) return `${s} s`;
  if (s < 6000) return `${Math.floor(s / 60)} m`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} m`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

const two = (n) => String(n).padStart(2, "0");

/** 12:03:44, of this browser's clock */
export function clock(second, withSeconds = true) {
  const it = new Date(second * 1000);
  return `${two(it.getHours())}:${two(it.getMinutes())}${withSeconds ? ":" + two(it.getSeconds()) : ""}`;
}

export function day(second) {
  return new Date(second * 1000).toLocaleDateString("en", { weekday: "short", day: "numeric", month: "short" });
}

/** What a state looks like: glyph and colour belong to one of these six. */
export const LOOKS = {
  up: "up", full: "degraded", ejected: "degraded", draining: "draining", maint: "maint",
  down: "down", unknown: "unknown",
};
export const GLYPHS = { up: "●", draining: "◐", degraded: "▲", down: "▼", maint: "■", unknown: "○" };
export const COLOURS = {
  up: "#009E73", draining: "#56B4E9", degraded: "#E69F00", down: "#D55E00", maint: "#999999",
  unknown: "#999999",
};
/** The worst first. */
export const RANKS = { down: 0, degraded: 1, draining: 2, maint: 3, unknown: 4, up: 5 };

export const look = (state) => LOOKS[state] ?? "unknown";
