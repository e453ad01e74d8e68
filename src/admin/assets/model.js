// What is known: the last word of the stream about each backend, service and pool, and the last
// 90 seconds of their rates.

import { RANKS, look, number, percent, span } from "./format.js";

/** Seconds of a sparkline. */
export const SECONDS = 90;

export class Model {
  columns = [];
  rows = new Map();
  /** The same in the order of the configuration. */
  list = [];
  process = null;
  services = [];
  pools = [];
  second = 0;
  /** Where in all rings the last second is. */
  at = 0;
  rings = new Map();
  certificates = [];

  /** Takes a snapshot or a delta. Gives the backends whose look is another one. */
  apply(kind, data) {
    const flips = [];
    const passed = this.second ? Math.min(Math.max(data.second - this.second, 0), SECONDS) : 0;
    if (kind === "snapshot") this.#replace(data);
    else for (const values of data.backends ?? []) this.#upsert(values, flips);
    for (const id of data.gone ?? []) this.#remove(id);
    if (data.gone?.length) this.list = [...this.rows.values()];
    this.process = data.process ?? this.process;
    this.services = data.services ?? this.services;
    this.pools = data.pools ?? this.pools;
    this.second = data.second;
    this.#advance(passed);
    this.#shares();
    return flips;
  }

  #replace(data) {
    this.columns = data.columns;
    this.rows = new Map();
    this.list = [];
    for (const values of data.backends) this.#upsert(values, []);
    // Rings of whoever is not there any more.
    const keys = new Set(this.list.map((row) => row.key));
    for (const key of this.rings.keys()) {
      if (key.includes("/") && !keys.has(key)) this.rings.delete(key);
    }
  }

  #upsert(values, flips) {
    const { columns } = this;
    let row = this.rows.get(values[0]);
    const before = row?.look;
    if (!row) {
      row = {};
      this.rows.set(values[0], row);
      this.list.push(row);
    }
    for (let at = 0; at < columns.length; at += 1) row[columns[at]] = values[at];
    if (before === undefined) {
      row.key = `${row.pool}/${row.name}`;
      row.text = "";
      row.ring = this.ring(row.key);
    }
    row.look = look(row.state);
    if (before !== undefined && before !== row.look) flips.push(row);
  }

  #remove(id) {
    const row = this.rows.get(id);
    if (row) this.rings.delete(row.key);
    this.rows.delete(id);
  }

  /** The ring of a backend, or of a service or pool (`service:web`). */
  ring(key) {
    let ring = this.rings.get(key);
    if (!ring) this.rings.set(key, (ring = new Float32Array(SECONDS).fill(NaN)));
    return ring;
  }

  /** Seconds that were missed are a gap; the last one is what holds now. */
  #advance(passed) {
    const skipped = [];
    for (let left = passed; left > 0; left -= 1) {
      this.at = (this.at + 1) % SECONDS;
      if (left > 1) skipped.push(this.at);
    }
    const push = (ring, value) => {
      for (const at of skipped) ring[at] = NaN;
      ring[this.at] = value ?? NaN;
    };
    for (const row of this.list) push(row.ring, row.rate);
    for (const it of this.services) push(this.ring(`service:${it.name}`), it.rate);
    for (const it of this.pools) push(this.ring(`pool:${it.name}`), it.rate);
  }

  /** What each backend got of its pool, and what it should have got. */
  #shares() {
    const sums = new Map();
    for (const row of this.list) {
      let sum = sums.get(row.pool);
      if (!sum) sums.set(row.pool, (sum = { minute: 0, effective: 0, rows: [] }));
      sum.minute += row.minute ?? 0;
      sum.effective += row.effective ?? 0;
      sum.rows.push(row);
    }
    for (const { minute, effective, rows } of sums.values()) {
      for (const row of rows) {
        row.fair = effective ? row.effective / effective : 0;
        row.share = minute ? (row.minute ?? 0) / minute : NaN;
        row.ratio = row.fair ? row.share / row.fair : row.share ? Infinity : NaN;
      }
    }
    this.members = sums;
  }

  /** How many look like what. */
  counts() {
    const counts = {};
    for (const row of this.list) counts[row.look] = (counts[row.look] ?? 0) + 1;
    return counts;
  }

  /** What is wrong, the worst first: { look, what, why, since, filter }. */
  troubles() {
    const found = [];
    const now = this.second;
    const say = (it, what, why, since = null, filter = null) => found.push({ look: it, what, why, since, filter });
    const it = this.process;
    if (it?.reload && !it.reload.ok) say("down", "the last reload failed", it.reload.reason ?? "see the log", it.reload.at);
    if (it && it.state !== "serving") say("draining", `the process is ${it.state}`, "");
    const limits = [["connections", it?.open, it?.limit], ["file descriptors", it?.fds, it?.fds_max]];
    for (const [what, is, limit] of limits) {
      if (limit && is > 0.8 * limit) say("degraded", what, `${percent(is / limit)} of ${number(limit)}`);
    }
    for (const row of this.list) {
      if (row.look !== "up" && row.state !== "unknown") {
        say(row.look, row.key, row.reason && row.reason !== row.state ? `${row.state}: ${row.reason}` : row.state, row.since, row.key);
      } else if (row.waiting > 0) {
        say("degraded", row.key, `${number(row.waiting)} waiting`, null, row.key);
      } else if (row.max && row.active > 0.8 * row.max) {
        say("degraded", row.key, `${number(row.active)} of ${number(row.max)} connections`, null, row.key);
      }
    }
    for (const pool of this.pools) {
      if (pool.waiting > 0) say("degraded", `pool ${pool.name}`, `${number(pool.waiting)} waiting`, null, `pool:${pool.name}`);
      if (pool.backends && !pool.up) say("down", `pool ${pool.name}`, "no backend is up", null, `pool:${pool.name}`);
    }
    for (const it of this.certificates) {
      const left = it.ends - now;
      if (left < 14 * 86_400) {
        say(left < 0 ? "down" : "degraded", it.names || it.file, left < 0 ? "the certificate is over" : `the certificate ends in ${span(left)}`);
      }
    }
    // Of two that are as bad the newer one.
    return found.sort((a, b) => RANKS[a.look] - RANKS[b.look] || (b.since ?? 0) - (a.since ?? 0));
  }
}

/** Points of a ring as the path of a sparkline of so many units. */
export function sparkline(ring, at, width, height) {
  let most = 1;
  for (const value of ring) if (value > most) most = value;
  const step = width / (SECONDS - 1);
  let path = "", pen = "M";
  for (let n = 0; n < SECONDS; n += 1) {
    const value = ring[(at + 1 + n) % SECONDS];
    if (value !== value) { pen = "M"; continue; }
    path += `${pen}${(n * step).toFixed(1)} ${(height - 1 - (value / most) * (height - 2)).toFixed(1)}`;
    pen = "L";
  }
  return path;
}
