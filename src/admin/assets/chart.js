// One chart: lines over time on a canvas. A path for each line; where a pixel has many points it
// shows the least and the most of them; a gap in the data is a gap.

import { clock, day } from "./format.js";
import { colour, sharp } from "./map.js";

const LEFT = 52;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 18;

/** Distances of ticks, in seconds. */
const STEPS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];

/** The least of 1, 2, 2.5, 5, 10 ... that is not under it. */
export function nice(most) {
  if (!(most > 0)) return 1;
  const ten = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 2.5, 5, 10].map((it) => it * ten).find((it) => it >= most * 0.999) ?? most;
}

/** The points from `first` to `last` as [x, least, most], no two in one pixel; null is a gap. */
export function decimate(values, first, last, xOf) {
  const out = [];
  let column = null;
  for (let at = first; at <= last; at += 1) {
    const value = values[at];
    if (value !== value || value === null) {
      if (column) out.push(null);
      column = null;
      continue;
    }
    const x = Math.round(xOf(at));
    if (column?.[0] === x) {
      column[1] = Math.min(column[1], value);
      column[2] = Math.max(column[2], value);
    } else {
      column = [x, value, value];
      out.push(column);
    }
  }
  return out;
}

export class Chart {
  /** `lines`: { key, colour, fill } each; `unit` writes a value. */
  constructor(canvas, lines, unit) {
    Object.assign(this, { canvas, lines, unit });
  }

  /** Where a time is, and which time is there. */
  x(second) {
    return LEFT + ((second - this.from) / (this.to - this.from)) * this.room;
  }

  second(x) {
    return this.from + ((x - LEFT) / this.room) * (this.to - this.from);
  }

  /** The point at a time, or undefined. */
  index(data, second) {
    const at = Math.round((second - data.begin) / data.step);
    return at >= 0 && at < data.count ? at : undefined;
  }

  draw(data, view, hover, picked) {
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    if (!width || !height) return;
    Object.assign(this, { from: view.from, to: view.to, room: width - LEFT - RIGHT });
    const context = sharp(this.canvas, width, height);
    const bottom = height - BOTTOM;
    context.font = `11px ${colour("--font")}`;
    this.#times(context, bottom);
    const first = data ? Math.max(0, Math.floor((view.from - data.begin) / data.step)) : 0;
    const last = data ? Math.min(data.count - 1, Math.ceil((view.to - data.begin) / data.step)) : -1;
    const lines = this.lines.map((line) =>
      decimate(data?.series[line.key] ?? [], first, last, (at) => this.x(data.begin + at * data.step)));
    let most = 0;
    for (const points of lines) for (const it of points) if (it && it[2] > most) most = it[2];
    most = nice(most);
    const y = (value) => bottom - (value / most) * (bottom - TOP);
    this.#values(context, most, y, width);
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, this.room, height);
    context.clip();
    lines.forEach((points, at) => this.#line(context, this.lines[at], points, y, bottom));
    context.restore();
    if (!lines.some((points) => points.length)) {
      context.fillStyle = colour("--dim");
      context.textAlign = "center";
      context.fillText(data ? "nothing yet" : "", LEFT + this.room / 2, (TOP + bottom) / 2);
    }
    if (picked) this.#picked(context, picked, bottom);
    if (hover) this.#hover(context, data, hover, y, bottom);
  }

  #line(context, line, points, y, bottom) {
    const path = new Path2D();
    const area = line.fill && new Path2D();
    let start = null, end = null;
    const close = () => {
      if (!area || start === null) return;
      area.lineTo(end, bottom);
      area.lineTo(start, bottom);
      area.closePath();
      start = null;
    };
    let draws = false;
    for (const it of points) {
      if (!it) { close(); draws = false; continue; }
      const [x, least, most] = it;
      if (!draws) {
        path.moveTo(x - 0.5, y(most));
        if (area) { area.moveTo(x, y(most)); start = x; }
      }
      path.lineTo(x, y(most));
      area?.lineTo(x, y(most));
      if (least !== most) path.lineTo(x, y(least));
      end = x;
      draws = true;
    }
    close();
    const shade = colour(line.colour);
    if (area) {
      context.globalAlpha = 0.13;
      context.fillStyle = shade;
      context.fill(area);
      context.globalAlpha = 1;
    }
    context.strokeStyle = shade;
    context.lineWidth = 1.3;
    context.lineJoin = "round";
    context.stroke(path);
  }

  #values(context, most, y, width) {
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const value of [0, most / 2, most]) {
      context.fillStyle = colour("--edge");
      context.fillRect(LEFT, Math.round(y(value)), width - LEFT - RIGHT, 1);
      context.fillStyle = colour("--dim");
      context.fillText(value ? this.unit(value) : "0", LEFT - 6, y(value));
    }
  }

  #times(context, bottom) {
    const length = this.to - this.from;
    const wanted = length / Math.max(2, this.room / 90);
    const step = STEPS.find((it) => it >= wanted) ?? STEPS.at(-1);
    // Ticks at whole hours of the place where the browser is.
    const shift = new Date(this.to * 1000).getTimezoneOffset() * 60;
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    for (let at = Math.ceil((this.from - shift) / step) * step + shift; at <= this.to; at += step) {
      const x = this.x(at);
      context.fillStyle = colour("--edge");
      context.fillRect(Math.round(x), TOP, 1, bottom - TOP);
      if (x < LEFT + 16 || x > LEFT + this.room - 12) continue;
      context.fillStyle = colour("--dim");
      const midnight = (at - shift) % 86_400 === 0;
      context.fillText(midnight ? day(at).split(",")[0] : clock(at, step < 60), x, bottom + 14);
    }
  }

  #hover(context, data, hover, y, bottom) {
    const x = Math.round(this.x(hover));
    if (x < LEFT || x > LEFT + this.room) return;
    context.fillStyle = colour("--ink");
    context.globalAlpha = 0.5;
    context.fillRect(x, TOP, 1, bottom - TOP);
    context.globalAlpha = 1;
    const at = data && this.index(data, hover);
    if (at === undefined) return;
    for (const line of this.lines) {
      const value = data.series[line.key]?.[at];
      if (value === undefined || value === null || value !== value) continue;
      context.beginPath();
      context.arc(x + 0.5, y(value), 3, 0, 7);
      context.fillStyle = colour(line.colour);
      context.fill();
    }
  }

  #picked(context, [one, other], bottom) {
    context.fillStyle = colour("--s1");
    context.globalAlpha = 0.18;
    context.fillRect(this.x(one), TOP, this.x(other) - this.x(one), bottom - TOP);
    context.globalAlpha = 1;
  }
}
