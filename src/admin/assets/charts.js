// The panel of history: two sides, each with the charts of one subject over the same time, so that
// two pools can be compared. One pointer shows the same moment everywhere.

import { $, clock, day, el, ms, number, put, rate } from "./format.js";
import { Chart } from "./chart.js";
import { ask } from "./live.js";

const SPANS = { "10m": 600, "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800 };
const TITLES = { "10m": "10 m", "1h": "1 h", "6h": "6 h", "24h": "24 h", "7d": "7 d" };

const KINDS = [
  { title: "requests/s", unit: rate, lines: [{ key: "rate", colour: "--s1", fill: true }] },
  {
    title: "response time", unit: ms,
    lines: [{ key: "p99_ms", name: "p99", colour: "--s2" }, { key: "p50_ms", name: "p50", colour: "--s1" }],
  },
  { title: "errors/s", unit: rate, lines: [{ key: "errors", colour: "--bad", fill: true }] },
  {
    title: "open", unit: number,
    lines: [{ key: "active", name: "active", colour: "--s1", fill: true }, { key: "waiting", name: "waiting", colour: "--s2" }],
  },
];

/** What the stream calls what history calls otherwise. */
const LIVE = { errors: "errors_rate", bytes: "bytes_rate" };

export class Charts {
  span = "10m";
  /** What is zoomed to; null follows the clock. */
  zoom = null;
  hover = null;

  /** `kept` remembers { span, left, right } over a reload of the page. */
  constructor(model, kept) {
    this.model = model;
    this.kept = kept;
    if (SPANS[kept.get("span")]) this.span = kept.get("span");
    this.buttons = Object.keys(SPANS).map((it) =>
      el("button", { onclick: () => this.choose(it), "data-span": it }, TITLES[it]));
    this.all = el("button", { onclick: () => this.choose(this.span), hidden: true }, "show all");
    $("spans").append(this.all, ...this.buttons);
    const [left, right] = document.querySelectorAll("#charts .side");
    this.sides = [new Side(this, left, "left"), new Side(this, right, "right")];
    this.#mark();
  }

  choose(span) {
    this.span = span;
    this.zoom = null;
    this.kept.set("span", span);
    this.#mark();
    this.load();
  }

  #mark() {
    for (const it of this.buttons) it.ariaPressed = String(it.dataset.span === this.span && !this.zoom);
    this.all.hidden = !this.zoom;
  }

  /** From the finest ring that reaches back so far. */
  zoomTo(from, to) {
    if (to - from < 8) return;
    const now = this.model.second;
    const spans = Object.keys(SPANS);
    this.zoom = { from, to: Math.min(to, now) };
    this.span = spans.find((it) => now - SPANS[it] <= from) ?? "7d";
    this.#mark();
    this.load();
  }

  view() {
    const now = this.model.second || Date.now() / 1000;
    return this.zoom ?? { from: now - SPANS[this.span], to: now };
  }

  load() {
    for (const side of this.sides) side.load();
  }

  /** What one side shows: the chosen backend. */
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
    const at = this.hover;
    put($("charts-time"), at ? `${day(at)}, ${clock(at)}` : "");
    for (const side of this.sides) side.draw();
  }

  /** What a key does on a chart. */
  key(event) {
    const { from, to } = this.view();
    const length = to - from;
    const step = this.sides[0].data?.step ?? 1;
    const move = Math.max(step, length / 120);
    const middle = this.hover ?? (from + to) / 2;
    const to_ = { ArrowLeft: -move, ArrowRight: move }[event.key];
    if (to_) this.hover = Math.max(from, Math.min(to, (this.hover ?? to) + to_));
    else if (event.key === "+" || event.key === "=") return this.zoomTo(middle - length / 4, middle + length / 4);
    else if (event.key === "-") return this.zoomTo(Math.max(middle - length, this.model.second - 604_800), middle + length);
    else if (event.key === "Escape") return this.choose(this.span);
    else return;
    event.preventDefault();
    this.draw();
  }
}

class Side {
  data = null;
  picked = null;
  #asked = 0;

  constructor(charts, root, place) {
    Object.assign(this, { charts, root, place });
    this.of = charts.kept.get(place) ?? (place === "left" ? "process" : "");
    this.select = el("select", { ariaLabel: `What the ${place} charts show` });
    this.select.addEventListener("change", () => this.choose(this.select.value));
    root.append(this.select);
    this.charts_ = KINDS.map((kind) => this.#add(kind));
    new ResizeObserver(() => this.draw()).observe(root);
  }

  #add(kind) {
    const canvas = el("canvas", { tabIndex: 0 });
    canvas.setAttribute("role", "img");
    const values = kind.lines.map((line) => {
      const value = el("b");
      return { value, line, node: el("span", { className: `key ${line.colour.slice(2)}` }, line.name ? `${line.name} ` : "", value) };
    });
    this.root.append(el("div", { className: "chart" }, el("p", {}, el("span", { className: "dim" }, kind.title), ...values.map((it) => it.node)), canvas));
    const chart = Object.assign(new Chart(canvas, kind.lines, kind.unit), { kind, values });
    this.#listen(chart, canvas);
    return chart;
  }

  #listen(chart, canvas) {
    const { charts } = this;
    let begun = null;
    const at = (event) => {
      const { from, to } = charts.view();
      return Math.max(from, Math.min(to, chart.second(event.offsetX)));
    };
    canvas.addEventListener("pointerdown", (event) => {
      begun = at(event);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      charts.hover = at(event);
      this.picked = begun === null ? null : [begun, charts.hover];
      charts.draw();
    });
    canvas.addEventListener("pointerup", (event) => {
      const [from, to] = [begun, at(event)].sort((a, b) => a - b);
      const far = Math.abs(chart.x(to) - chart.x(from)) > 6;
      begun = this.picked = null;
      if (far) charts.zoomTo(from, to);
    });
    canvas.addEventListener("pointerleave", () => {
      if (begun !== null) return;
      charts.hover = null;
      charts.draw();
    });
    canvas.addEventListener("dblclick", () => charts.choose(charts.span));
    canvas.addEventListener("keydown", (event) => charts.key(event));
    canvas.addEventListener("blur", () => { charts.hover = null; charts.draw(); });
  }

  choose(of) {
    this.of = of;
    this.charts.kept.set(this.place, of);
    this.data = null;
    this.#options();
    this.load();
  }

  /** What can be chosen. */
  #options() {
    const { services, pools } = this.charts.model;
    const names = ["process", ...services.map((it) => `service:${it.name}`), ...pools.map((it) => `pool:${it.name}`)];
    if (this.of && !names.includes(this.of)) names.push(this.of);
    const said = names.join("\n");
    if (this.said !== said) {
      this.said = said;
      this.select.replaceChildren(...names.map((it) => el("option", { value: it }, it.replace(":", " "))));
    }
    this.select.value = this.of;
  }

  async load() {
    if (!this.of) return;
    const { charts, of } = this;
    const own = (this.#asked += 1);
    this.loaded = charts.model.second;
    let told;
    try {
      told = await ask(`/api/v1/history?of=${encodeURIComponent(of)}&span=${charts.span}`);
    } catch {
      told = null;
    }
    // Somebody chose another one meanwhile.
    if (own !== this.#asked) return;
    this.data = told && Side.#read(told);
    this.draw();
  }

  static #read({ series, step_s: step, end }) {
    const read = {};
    let count = 0;
    for (const [key, values] of Object.entries(series)) {
      read[key] = values.map((it) => it ?? NaN);
      count = values.length;
    }
    return { series: read, step, end, count, begin: end - (count - 1) * step };
  }

  /** Goes on with what the stream says, where a point is a second; else asks again. */
  update() {
    const { model, zoom } = this.charts;
    if (!this.of && model.pools.length) this.of = `pool:${model.pools[0].name}`;
    this.#options();
    const { data } = this;
    const passed = model.second - (this.loaded ?? 0);
    if (!data || zoom || data.step > 1) {
      if (passed >= Math.max(data?.step ?? 5, 5) && !(zoom && data)) this.load();
      return;
    }
    const missed = model.second - data.end;
    if (passed >= 60 || missed > 5) return void this.load();
    for (let left = missed; left > 0; left -= 1) this.#push(left === 1 ? this.#now() : {});
  }

  #now() {
    const { model } = this.charts;
    const [kind, name] = [this.of.split(":", 1)[0], this.of.slice(this.of.indexOf(":") + 1)];
    if (kind === "process") return { ...model.process, active: model.process.open };
    const list = { service: model.services, pool: model.pools }[kind] ?? [];
    return list.find((it) => it.name === name) ?? {};
  }

  #push(values) {
    const { data } = this;
    for (const [key, points] of Object.entries(data.series)) {
      points.shift();
      points.push(values[LIVE[key] ?? key] ?? NaN);
    }
    data.end += 1;
    data.begin += 1;
  }

  draw() {
    const { charts, data } = this;
    const view = charts.view();
    for (const chart of this.charts_) {
      chart.draw(data, view, charts.hover, this.picked);
      const at = data && chart.index(data, Math.min(charts.hover ?? view.to, data.end));
      const words = [];
      for (const { value, line, node } of chart.values) {
        node.hidden = !data?.series[line.key];
        const text = at === undefined || node.hidden || !data ? "–" : chart.unit(data.series[line.key][at]);
        put(value, text);
        words.push(`${line.name ?? ""} ${text}`);
      }
      const label = `${this.of} ${chart.kind.title}: ${words.join(", ")}`;
      if (chart.said !== label) chart.canvas.ariaLabel = chart.said = label;
    }
  }
}
