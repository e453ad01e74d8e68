// The table of backends: sorted, filtered, and with only as many rows in the document as are seen.
// A row of the document is used again for whatever backend is there now.

import { $, RANKS, classes, el, ms, number, percent, put, rate, span } from "./format.js";
import { sparkline } from "./model.js";

/** As in style.css. */
const ROW = 26;
/** Rows beyond the edge, so that scrolling shows no blank. */
const BEYOND = 6;

const SVG = "http://www.w3.org/2000/svg";

const absent = (n) => n ?? -1;

/** Title, what it is sorted by, what is read; `up` sorts the smallest first at first. */
const COLUMNS = [
  { id: "state", title: "state", by: (row) => RANKS[row.look], up: true, text: (row) => row.state },
  { id: "name", title: "backend", by: (row) => row.key, up: true },
  { id: "address", title: "address", by: (row) => row.address, up: true, text: (row) => row.address },
  { id: "weight", title: "weight", by: (row) => row.effective, text: weight, about: "effective / configured" },
  { id: "active", title: "active", by: (row) => row.active, text: active, about: "open now / at most" },
  { id: "waiting", title: "queue", by: (row) => absent(row.waiting), text: (row) => number(row.waiting) },
  { id: "rate", title: "rate", by: (row) => absent(row.rate), text: (row) => rate(row.rate), about: "requests or connections a second" },
  { id: "spark", title: "90 s" },
  { id: "share", title: "share", by: (row) => (row.ratio === row.ratio ? row.ratio : -1), about: "its part of the last minute; in the middle is its fair part" },
  { id: "p50", title: "p50", by: (row) => absent(row.p50_ms), text: (row) => ms(row.p50_ms) },
  { id: "p99", title: "p99", by: (row) => absent(row.p99_ms), text: (row) => ms(row.p99_ms) },
  { id: "errors", title: "errors", by: (row) => absent(row.errors_rate), text: (row) => rate(row.errors_rate), about: "failed a second" },
  { id: "retries", title: "retries", by: (row) => absent(row.retries), text: (row) => number(row.retries) },
  { id: "since", title: "since", by: (row) => -row.since, up: true },
  { id: "check", title: "last check", by: (row) => row.check ?? "", up: true, text: (row) => row.check ?? "–" },
  { id: "act", title: "" },
];

function weight(row) {
  const is = number(Math.round(row.effective * 10) / 10);
  return row.effective === row.weight ? is : `${is} / ${number(row.weight)}`;
}

function active(row) {
  return row.max ? `${number(row.active)} / ${number(row.max)}` : number(row.active);
}

const NUMBERS = {
  p99: "p99_ms", p50: "p50_ms", rate: "rate", active: "active", errors: "errors_rate",
  waiting: "waiting", weight: "effective", retries: "retries", share: "ratio",
};

/** A filter as it is written becomes a test of rows. */
export function filter(text) {
  const tests = text.trim().split(/\s+/).filter(Boolean).map((word) => {
    const not = word.startsWith("-") && word.length > 1;
    const test = term(not ? word.slice(1) : word);
    return not ? (row) => !test(row) : test;
  });
  return (row) => tests.every((test) => test(row));
}

function term(word) {
  const compared = /^(\w+)([<>])([\d.]+)$/.exec(word);
  const field = NUMBERS[compared?.[1]];
  if (field) {
    const limit = Number(compared[3]);
    return compared[2] === ">" ? (row) => row[field] > limit : (row) => row[field] < limit;
  }
  const [, key, value] = /^(state|pool|origin):(.*)$/.exec(word.toLowerCase()) ?? [];
  if (key === "state") return (row) => [row.state, row.look, row.admin].includes(value);
  if (key) return (row) => row[key].toLowerCase() === value;
  const wanted = word.toLowerCase();
  return (row) =>
    [row.key, row.address, row.reason, row.check].some((it) => it?.toLowerCase().includes(wanted));
}

export class Table {
  #rows = [];
  #shown = [];
  #lines = [];
  #sort = { column: COLUMNS[0], up: true };
  #test = () => true;
  /** The key of the backend that the keyboard is at. */
  #current = null;

  /** `on` has act(what, row) and open(row). */
  constructor(model, on) {
    this.model = model;
    this.on = on;
    this.box = $("rows");
    this.#build($("rows-table"));
    this.box.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  #build(table) {
    this.heads = COLUMNS.map((column) => {
      const head = el("th", { scope: "col", className: `c-${column.id}`, title: column.about ?? "" });
      if (!column.by) head.append(column.title);
      else head.append(el("button", { onclick: () => this.sort(column) }, column.title));
      return head;
    });
    this.before = el("tr", { className: "space" }, el("td", { colSpan: COLUMNS.length }));
    this.after = el("tr", { className: "space" }, el("td", { colSpan: COLUMNS.length }));
    this.before.ariaHidden = this.after.ariaHidden = "true";
    this.body = el("tbody", {}, this.before, this.after);
    const columns = COLUMNS.map((column) => el("col", { className: `c-${column.id}` }));
    table.append(
      el("caption", { className: "unseen" }, "Backends; arrow keys go from one to the next"),
      el("colgroup", {}, ...columns),
      el("thead", {}, el("tr", {}, ...this.heads)),
      this.body,
    );
    this.table = table;
    this.body.addEventListener("keydown", (event) => this.#key(event));
    this.body.addEventListener("click", (event) => {
      const line = event.target.closest("tr")?.line;
      if (!line?.row) return;
      this.#current = line.row.key;
      const act = event.target.dataset.act;
      if (act) this.on.act(act, line.row);
      else if (event.target === line.name) this.on.open(line.row);
      this.draw();
    });
    this.#mark();
  }

  sort(column) {
    const { column: old, up } = this.#sort;
    this.#sort = { column, up: old === column ? !up : Boolean(column.up) };
    this.#mark();
    this.update(true);
  }

  #mark() {
    this.heads.forEach((head, at) => {
      const own = COLUMNS[at] === this.#sort.column;
      if (own) head.ariaSort = this.#sort.up ? "ascending" : "descending";
      else head.removeAttribute("aria-sort");
    });
  }

  filter(text) {
    this.#test = filter(text);
    this.box.scrollTop = 0;
    this.update(true);
  }

  /** New numbers. Rows do not change places under a pointer or a key. */
  update(moves = !this.box.matches(":hover") && !this.body.contains(document.activeElement)) {
    const { column, up } = this.#sort;
    const kept = moves ? null : new Map(this.#rows.map((row, at) => [row.key, at]));
    this.#rows = this.model.list.filter(this.#test);
    if (kept) {
      const last = kept.size;
      this.#rows.sort((a, b) => (kept.get(a.key) ?? last) - (kept.get(b.key) ?? last));
    } else {
      const way = up ? 1 : -1;
      for (const row of this.#rows) row.by = column.by(row);
      this.#rows.sort((a, b) => (a.by < b.by ? -way : a.by > b.by ? way : a.key < b.key ? -1 : 1));
    }
    this.table.setAttribute("aria-rowcount", this.#rows.length + 1);
    this.draw();
  }

  get count() {
    return this.#rows.length;
  }

  /** Fills the rows that are seen. */
  draw() {
    const all = this.#rows.length;
    const room = Math.ceil(this.box.clientHeight / ROW) + 2 * BEYOND;
    const first = Math.max(0, Math.min(Math.floor(this.box.scrollTop / ROW) - BEYOND, all - room));
    const shown = this.#rows.slice(first, first + room);
    while (this.#lines.length < shown.length) {
      const line = new Line();
      this.#lines.push(line);
      this.after.before(line.node);
    }
    const focused = this.body.contains(document.activeElement);
    if (!this.#rows.some((row) => row.key === this.#current)) this.#current = this.#rows[0]?.key;
    this.#lines.forEach((line, at) => {
      const row = shown[at];
      line.node.hidden = !row;
      if (row) line.show(row, first + at, row.key === this.#current, this.model);
    });
    this.#shown = shown;
    this.before.firstChild.style.height = `${first * ROW}px`;
    this.after.firstChild.style.height = `${(all - first - shown.length) * ROW}px`;
    const line = focused && this.#lines.find((it) => !it.node.hidden && it.row.key === this.#current);
    if (line && !line.node.contains(document.activeElement)) line.node.focus({ preventScroll: true });
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const at = this.#rows.findIndex((row) => row.key === this.#current);
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 2);
    const to = {
      ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.#rows.length - 1,
      PageDown: at + page, PageUp: at - page,
    }[event.key];
    const act = { d: "drain", r: "ready", w: "weight" }[event.key];
    if (to !== undefined) this.#go(to);
    else if (act) this.on.act(act, this.#rows[at]);
    else if (event.key === "Enter" && event.target.tagName === "TR") this.on.open(this.#rows[at]);
    else return;
    event.preventDefault();
  }

  #go(to) {
    const at = Math.max(0, Math.min(to, this.#rows.length - 1));
    this.#current = this.#rows[at]?.key;
    const top = at * ROW;
    const seen = this.box.clientHeight - 2 * ROW;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    if (top > this.box.scrollTop + seen) this.box.scrollTop = top - seen;
    this.draw();
  }
}

/** A row of the document. */
class Line {
  constructor() {
    this.cells = COLUMNS.map((column) => el("td", { className: `c-${column.id}` }));
    this.node = el("tr", {}, ...this.cells);
    this.node.line = this;
    const cell = (id) => this.cells[COLUMNS.findIndex((it) => it.id === id)];
    this.state = cell("state");
    this.state.append((this.glyph = el("span")), (this.word = el("span")));
    this.name = el("span", { className: "name" });
    cell("name").append((this.pool = el("span", { className: "dim" })), this.name);
    this.path = document.createElementNS(SVG, "path");
    const spark = document.createElementNS(SVG, "svg");
    spark.setAttribute("aria-hidden", "true");
    spark.append(this.path);
    cell("spark").append(spark);
    this.fill = el("i");
    this.part = el("span");
    cell("share").append(el("div", { className: "bar" }, this.fill), this.part);
    this.since = cell("since");
    this.check = cell("check");
    this.buttons = ["drain", "ready", "weight"].map((act) => el("button", { "data-act": act, tabIndex: -1 }, act));
    cell("act").append(...this.buttons);
    this.texts = COLUMNS.flatMap((column, at) =>
      column.text ? [[column.id === "state" ? this.word : this.cells[at], column.text]] : []);
  }

  show(row, at, current, model) {
    const { node } = this;
    this.row = row;
    classes(node, current ? `is-${row.look} current` : `is-${row.look}`);
    node.tabIndex = current ? 0 : -1;
    if (this.at !== at) node.setAttribute("aria-rowindex", (this.at = at) + 2);
    classes(this.glyph, `glyph ${row.look}`);
    for (const [cell, text] of this.texts) put(cell, text(row));
    put(this.pool, `${row.pool}/`);
    put(this.name, row.name);
    put(this.since, span(model.second - row.since));
    this.path.setAttribute("d", sparkline(row.ring, model.at, 84, 18));
    const ratio = row.ratio === row.ratio ? Math.min(row.ratio, 2) / 2 : 0;
    this.fill.style.transform = `scaleX(${ratio.toFixed(3)})`;
    put(this.part, percent(row.share));
    const why = [row.key, row.address, row.reason, row.check].filter(Boolean).join("\n");
    if (this.why !== why) node.title = this.why = why;
    for (const button of this.buttons) {
      button.tabIndex = current ? 0 : -1;
      if (button.key !== row.key) button.ariaLabel = `${button.dataset.act} ${(button.key = row.key)}`;
    }
    this.buttons[0].disabled = row.admin === "drain";
    this.buttons[1].disabled = row.admin === "ready";
  }
}
