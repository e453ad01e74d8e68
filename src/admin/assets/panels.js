// The panels that are lists: figures, what is wrong, services, pools, events, and what is under way.

import { $, bytes, classes, clock, el, look, ms, number, percent, put, rate, span } from "./format.js";
import { Strip } from "./map.js";
import { ask } from "./live.js";
import { sparkline } from "./model.js";

const SVG = "http://www.w3.org/2000/svg";

/** A sparkline that is drawn again and again. */
function spark() {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  return { svg, path };
}

const FIGURES = [
  ["requests/s", (it) => rate(it.rate)],
  ["errors", (it) => (it.rate ? percent(it.errors_rate / it.rate) : "–"), (it) => it.errors_rate > 0.01 * it.rate],
  ["p50", (it) => ms(it.p50_ms)],
  ["p99", (it) => ms(it.p99_ms)],
  ["open", (it) => number(it.open), (it) => it.open > 0.8 * it.limit, (it) => `of ${number(it.limit)}`],
  ["bytes/s", (it) => bytes(it.bytes_rate)],
  ["turn p99", (it) => ms(it.turn_p99_ms)],
  ["fds", (it) => number(it.fds), (it) => it.fds > 0.8 * it.fds_max, (it) => `of ${number(it.fds_max)}`],
  ["memory", (it) => bytes(it.memory)],
];

/** The line at the top. */
export class Figures {
  constructor() {
    this.nodes = FIGURES.map(([title]) => {
      const value = el("dd");
      const box = el("div", {}, el("dt", {}, title), value);
      $("figures").append(box);
      return { value, box };
    });
  }

  draw(it, second) {
    FIGURES.forEach(([, text, bad, more], at) => {
      const { value, box } = this.nodes[at];
      put(value, text(it));
      classes(box, bad?.(it) ? "bad" : "");
      if (more) box.title = more(it);
    });
    put($("version"), it.version);
    const reload = it.reload ? ` · reload ${it.reload.ok ? "good" : "failed"} ${span(second - it.reload.at)} ago` : "";
    put($("link"), `up ${span(second - it.started)} · generation ${it.generation}${reload}`);
  }
}

/** More than this are one line. */
const WRONG_MAX = 12;

/** What is wrong, the worst first; a click filters the table. */
export function wrong(model, troubles, pick) {
  const counts = model.counts();
  $("wrong").classList.toggle("fine", !troubles.length);
  put($("wrong-title"), troubles.length ? "What is wrong" : "Nothing is wrong");
  const items = troubles.slice(0, WRONG_MAX);
  const list = $("wrong-list");
  const more = troubles.length - items.length;
  while (list.children.length < items.length + 1) {
    const [glyph, what, why, since] = [el("span"), el("button"), el("span", { className: "why" }), el("span", { className: "num dim" })];
    what.addEventListener("click", () => pick(what.filter ?? ""));
    const item = el("li", {}, glyph, what, why, since);
    item.parts = { glyph, what, why, since };
    list.append(item);
  }
  [...list.children].forEach((item, at) => {
    const it = items[at] ?? (at === items.length ? last(model, counts, more, troubles.length) : null);
    item.hidden = !it;
    if (!it) return;
    const { glyph, what, why, since } = item.parts;
    classes(glyph, `glyph ${it.look}`);
    glyph.ariaLabel = it.look;
    put(what, it.what);
    what.filter = it.filter;
    what.disabled = it.filter === null || it.filter === undefined;
    put(why, it.why);
    item.title = it.why;
    put(since, it.since ? span(model.second - it.since) : "");
  });
}

function last(model, counts, more, all) {
  if (more > 0) return { look: "unknown", what: `and ${more} more`, why: "by state in the table below", filter: "-state:up" };
  if (all || !model.list.length) return null;
  return { look: "up", what: `${number(counts.up ?? 0)} of ${number(model.list.length)} backends are up`, why: "" };
}

/** A table of few rows. A column: [title, text of a row, class]; or `make(row)` for a cell's own. */
class Small {
  constructor(table, caption, columns) {
    this.columns = columns;
    this.body = el("tbody");
    const heads = columns.map(([title, , kind]) => el("th", { scope: "col", className: kind ?? "" }, title));
    table.append(el("caption", { className: "unseen" }, caption), el("thead", {}, el("tr", {}, ...heads)), this.body);
    this.lines = [];
  }

  draw(rows, fill) {
    while (this.lines.length < rows.length) {
      const cells = this.columns.map(([, , kind]) => el("td", { className: kind ?? "" }));
      const node = el("tr", {}, ...cells);
      this.lines.push({ node, cells });
      this.body.append(node);
    }
    this.lines.forEach((line, at) => {
      const row = rows[at];
      line.node.hidden = !row;
      if (!row) return;
      this.columns.forEach(([, text], at) => text && put(line.cells[at], text(row)));
      fill?.(line, row);
    });
  }
}

const NUMBERS = [
  ["rate", (it) => rate(it.rate), "num"],
  ["90 s", null, "c-spark"],
  ["errors", (it) => rate(it.errors_rate), "num"],
  ["p50", (it) => ms(it.p50_ms), "num"],
  ["p99", (it) => ms(it.p99_ms), "num"],
  ["active", (it) => number(it.active), "num"],
];

/** Services and pools. */
export class Lists {
  constructor(model, pick) {
    this.model = model;
    this.pick = pick;
    this.services = new Small($("services-table"), "Services", [
      ["service", (it) => it.name],
      ["", (it) => it.mode, "dim"],
      ["to", (it) => it.pools.join(", "), "dim cut"],
      ...NUMBERS,
    ]);
    this.pools = new Small($("pools-table"), "Pools", [
      ["pool", null],
      ["algorithm", (it) => it.algorithm, "dim cut"],
      ["up", null, "num"],
      ...NUMBERS,
      ["queue", (it) => number(it.waiting), "num"],
      ["shares", null, "c-shares"],
    ]);
  }

  draw() {
    const { model } = this;
    this.services.draw(model.services, (line, it) => {
      line.node.title = it.listeners.join(", ");
      this.#spark(line, 4, `service:${it.name}`);
    });
    this.pools.draw(model.pools, (line, it) => {
      if (!line.name) {
        line.name = el("button", { className: "plain", onclick: () => this.pick(`pool:${line.pool}`) });
        line.glyph = el("span");
        line.cells[0].append(line.glyph, line.name);
      }
      if (line.pool !== it.name) {
        line.pool = it.name;
        line.strip = new Strip(model, it.name, (row) => this.pick(row.key));
        line.cells[10].replaceChildren(line.strip.canvas);
      }
      put(line.name, it.name);
      put(line.cells[2], it.up === it.backends ? number(it.up) : `${number(it.up)} / ${number(it.backends)}`);
      classes(line.glyph, `glyph ${it.up === it.backends ? "up" : it.up ? "degraded" : "down"}`);
      this.#spark(line, 4, `pool:${it.name}`);
      line.strip.draw();
    });
  }

  #spark(line, at, key) {
    if (!line.spark) {
      line.spark = spark();
      line.cells[at].append(line.spark.svg);
    }
    line.spark.path.setAttribute("d", sparkline(this.model.ring(key), this.model.at, 84, 18));
  }
}

const EVENTS_MAX = 200;

/** What happened, the newest first. */
export class Events {
  last = 0;

  add(kind, data, id) {
    this.last = Number(id) || this.last;
    const { glyph, what, why } = words(kind, data);
    const time = clock(Date.parse(data.time) / 1000);
    const item = el("li", { title: `${what} ${why}` },
      el("time", { dateTime: data.time }, time),
      el("span", { className: `glyph ${glyph}` }),
      el("b", {}, what), el("span", { className: "why" }, why));
    const list = $("events-list");
    list.prepend(item);
    while (list.children.length > EVENTS_MAX) list.lastChild.remove();
  }
}

function words(kind, it) {
  switch (kind) {
    case "health": return { glyph: look(it.health), what: it.backend, why: it.reason ? `${it.health}: ${it.reason}` : it.health };
    case "audit": {
      const why = [`${it.what}, ${it.status}`, it.reason && `“${it.reason}”`].filter(Boolean).join(" ");
      return { glyph: it.status < 400 ? "said" : "degraded", what: it.who, why };
    }
    case "change": return { glyph: "said", what: `generation ${it.receipt?.generation ?? ""}`, why: it.receipt?.text ?? "changed" };
    case "process": return { glyph: "said", what: "process", why: it.state ?? "" };
    default: return { glyph: "said", what: kind, why: "" };
  }
}

const TOPS = [
  ["longest", "longest connections", [["client", (it) => it.client], ["for", (it) => span(it.age_s), "num"], ["backend", (it) => it.backend ?? "–"], ["", (it) => it.request ?? it.service ?? "", "cut dim"]]],
  ["slowest", "slowest requests", [["client", (it) => it.client], ["took", (it) => ms(it.total_ms), "num"], ["backend", (it) => it.backend ?? "–"], ["", (it) => it.request ?? "", "cut dim"]]],
  ["clients", "top clients", [["client", (it) => it.client], ["open", (it) => number(it.connections), "num"], ["", (it) => it.service ?? "", "cut dim"]]],
];

const PICKS = [
  ["at", (it) => (it.time ? clock(Date.parse(it.time) / 1000) : "")],
  ["client", (it) => it.client ?? ""],
  ["backend", (it) => it.backend ?? it.choice ?? "–"],
  ["why", (it) => it.reason ?? it.why ?? it.outcome ?? "", "cut dim"],
];

const POLL_MS = 3000;

/** What is under way: asked for while somebody looks. What the balancer has not is not shown. */
export class Now {
  constructor() {
    this.parts = TOPS.map(([what, title, columns]) => this.#part(`/api/v1/top?what=${what}&limit=8`, title, columns));
    this.parts.push(this.#part("/api/v1/picks?limit=8", "last picks", PICKS));
    setInterval(() => this.poll(), POLL_MS);
  }

  #part(path, title, columns) {
    const table = el("table");
    const box = el("div", { className: "part", hidden: true }, el("h3", {}, title), table);
    $("live-tables").append(box);
    return { path, box, table: new Small(table, title, columns) };
  }

  /** The paths that there are, by the index of the API. */
  known(paths) {
    for (const part of this.parts) part.is = paths.includes(part.path.split("?")[0]);
    $("live").hidden = !this.parts.some((it) => it.is);
    this.poll();
  }

  poll() {
    if (document.hidden) return;
    for (const part of this.parts.filter((it) => it.is)) {
      ask(part.path).then((told) => {
        part.table.draw(told.items ?? []);
        part.box.hidden = false;
      }, (error) => {
        part.is = part.is && error.status !== 404;
        part.box.hidden = true;
      });
    }
  }
}

/** Title and icon of the tab: the worst there is, and how often. */
export function tab(worst, text) {
  document.title = text;
  classes($("worst"), `glyph ${worst}`);
  $("worst").ariaLabel = worst;
  if (tab.said === worst) return;
  tab.said = worst;
  const shapes = {
    up: "<circle cx='8' cy='8' r='6'/>", down: "<path d='M1 2h14l-7 12z'/>",
    degraded: "<path d='M1 14h14l-7-12z'/>", maint: "<path d='M2 2h12v12H2z'/>",
    draining: "<path d='M8 2a6 6 0 0 0 0 12z'/>", unknown: "<circle cx='8' cy='8' r='4'/>",
  };
  const fill = { up: "#009E73", down: "#D55E00", degraded: "#E69F00", draining: "#56B4E9" }[worst] ?? "#999999";
  const svg = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16' fill='${fill}'>${shapes[worst]}</svg>`;
  $("icon").href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

