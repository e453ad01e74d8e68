// Pictures of many backends at once: a cell for each, and for a pool the strip of its shares. Both
// are one canvas, whatever the number of backends, and say in words what the pointer is at.

import { $, COLOURS, el, number, percent, put, rate } from "./format.js";

const CELL = 11;
/** More pools than this get no line of their own. */
const LINES_MAX = 10;

/** Makes a canvas as sharp as the screen. Gives its context, cleared, in CSS pixels. */
export function sharp(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const wide = Math.round(width * ratio), high = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

let colours = null;

/** A colour of style.css. */
export function colour(name) {
  colours ??= getComputedStyle(document.documentElement);
  return colours.getPropertyValue(name).trim();
}

/** A few words beside the pointer. */
export function tip(event, text) {
  const it = $("tip");
  it.hidden = !text;
  if (!text) return;
  put(it, text);
  it.style.left = `${Math.min(event.clientX + 14, innerWidth - it.offsetWidth - 8)}px`;
  it.style.top = `${Math.min(event.clientY + 16, innerHeight - it.offsetHeight - 8)}px`;
}

function words(row) {
  const share = row.share === row.share ? `\nshare ${percent(row.share)}, fair ${percent(row.fair)}` : "";
  return `${row.key}  ${row.state}\n${rate(row.rate)}/s, ${number(row.active)} active${share}`;
}

/** A glyph of 9 px: what is not up has another form, not only another colour. */
function mark(context, look, x, y) {
  context.beginPath();
  if (look === "down") { context.moveTo(x, y); context.lineTo(x + 9, y); context.lineTo(x + 4.5, y + 9); }
  else if (look === "degraded") { context.moveTo(x, y + 9); context.lineTo(x + 9, y + 9); context.lineTo(x + 4.5, y); }
  else if (look === "draining") context.arc(x + 4.5, y + 4.5, 4.5, Math.PI / 2, -Math.PI / 2);
  else if (look === "unknown") context.arc(x + 4.5, y + 4.5, 3, 0, 7);
  else context.rect(x + 1, y + 1, 7, 7);
  context.fill();
}

/** A cell for each backend: its look by form and colour, its load by strength. */
export class CellMap {
  #cells = [];
  #at = -1;

  /** `on` is called with the backend that is chosen. */
  constructor(model, on) {
    this.model = model;
    this.canvas = $("map");
    this.canvas.addEventListener("pointermove", (event) => {
      const row = this.#find(event.offsetX, event.offsetY)?.row;
      tip(event, row && words(row));
    });
    this.canvas.addEventListener("pointerleave", (event) => tip(event, ""));
    this.canvas.addEventListener("click", (event) => {
      const cell = this.#find(event.offsetX, event.offsetY);
      if (cell) on(cell.row);
    });
    this.canvas.addEventListener("keydown", (event) => this.#key(event, on));
    this.canvas.addEventListener("blur", () => { this.#at = -1; this.draw(); });
  }

  #find(x, y) {
    return this.#cells.find((it) => x >= it.x && x < it.x + CELL && y >= it.y && y < it.y + CELL);
  }

  #key(event, on) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.across, ArrowUp: -this.across }[event.key];
    if (step) this.#at = Math.max(0, Math.min(this.#at + step, this.#cells.length - 1));
    else if (event.key === "Enter" && this.#cells[this.#at]) on(this.#cells[this.#at].row);
    else return;
    event.preventDefault();
    this.draw();
  }

  draw() {
    const { canvas, model } = this;
    canvas.hidden = model.list.length < 25;
    if (canvas.hidden) return;
    const width = canvas.clientWidth;
    const lined = model.members.size <= LINES_MAX && model.members.size > 1;
    const left = lined ? 84 : 0;
    this.across = Math.max(1, Math.floor((width - left) / CELL));
    this.#place(lined, left);
    const context = sharp(canvas, width, (this.#cells.at(-1)?.y ?? 0) + CELL);
    context.font = `11px ${colour("--font")}`;
    context.textBaseline = "top";
    context.fillStyle = colour("--dim");
    for (const { name, y } of this.labels) context.fillText(name.slice(0, 13), 0, y, left - 6);
    let most = 1;
    for (const row of model.list) if (row.rate > most) most = row.rate;
    for (const { row, x, y } of this.#cells) {
      context.globalAlpha = row.look === "up" ? 0.35 + 0.65 * Math.sqrt(row.rate / most) : 1;
      context.fillStyle = COLOURS[row.look];
      mark(context, row.look, x, y);
    }
    context.globalAlpha = 1;
    this.#describe(context);
  }

  #place(lined, left) {
    const cells = [];
    let column = 0, y = 0;
    this.labels = [];
    for (const [name, { rows }] of this.model.members) {
      if (lined) {
        if (column) y += CELL;
        if (cells.length) y += 4;
        column = 0;
        this.labels.push({ name, y });
      }
      for (const row of rows) {
        if (column === this.across) { column = 0; y += CELL; }
        cells.push({ row, x: left + column * CELL, y });
        column += 1;
      }
    }
    this.#cells = cells;
  }

  #describe(context) {
    const counts = Object.entries(this.model.counts()).map(([it, count]) => `${count} ${it}`).join(", ");
    const at = this.#cells[this.#at];
    const label = at ? words(at.row) : `Map of the backends: ${counts}. Arrow keys go from one to the next`;
    if (this.said !== label) this.canvas.ariaLabel = this.said = label;
    if (!at) return;
    context.strokeStyle = colour("--ink");
    context.lineWidth = 1.5;
    context.strokeRect(at.x - 0.5, at.y - 0.5, CELL - 1, CELL - 1);
  }
}

/**
 * The shares of a pool: each backend as wide as its fair part, as high as it got of that; even is
 * a flat field up to the line.
 */
export class Strip {
  constructor(model, pool, on) {
    this.model = model;
    this.pool = pool;
    this.canvas = el("canvas", { className: "strip" });
    this.canvas.setAttribute("role", "img");
    this.canvas.addEventListener("pointermove", (event) => {
      const row = this.#find(event.offsetX);
      tip(event, row && words(row));
    });
    this.canvas.addEventListener("pointerleave", (event) => tip(event, ""));
    this.canvas.addEventListener("click", (event) => {
      const row = this.#find(event.offsetX);
      if (row) on(row);
    });
  }

  #find(x) {
    let left = 0;
    const part = x / this.canvas.clientWidth;
    return this.model.members.get(this.pool)?.rows.find((row) => (left += row.fair) > part);
  }

  draw() {
    const rows = this.model.members.get(this.pool)?.rows ?? [];
    const width = this.canvas.clientWidth, height = 30;
    const context = sharp(this.canvas, width, height);
    const even = height / 2;
    const gap = width / rows.length > 6 ? 1 : 0;
    let x = 0, most = 0;
    context.fillStyle = colour("--quiet");
    context.fillRect(0, even, width, even);
    for (const row of rows) {
      const wide = row.fair * width;
      const high = Math.min(row.ratio || 0, 2) * even;
      if (row.fair && row.ratio > most) most = row.ratio;
      // Twice its part, or half of it, is worth a look.
      context.fillStyle = row.ratio > 1.5 ? COLOURS.degraded : colour("--share");
      context.fillRect(x, height - high, Math.max(wide - gap, 0.5), high);
      x += wide;
    }
    context.fillStyle = colour("--ink");
    context.fillRect(0, even - 0.5, width, 1);
    const said = `the most any backend got is ${most.toFixed(1)} times its fair part`;
    if (this.said !== said) this.canvas.ariaLabel = this.said = said;
  }
}

/** The theme is another one. */
export function forget() {
  colours = null;
}
