// What is known: the last word of the stream about each backend, service and pool, and the last
// 90 seconds of their rates.

import { LOOKS, look, number, percent, span } from "./format.js";

export const SECONDS = 90;

export class Model {
	columns = [];
	rows = new Map();
	list = [];
	services = [];
	pools = [];
	process = null;
	second = 0;
	// Rates of the last seconds, by key; the last one is at `at` in all of them.
	rings = new Map();
	at = 0;
	certificates = [];

	// Takes a snapshot or a delta. Gives the backends that look otherwise than before.
	apply(data) {
		const flips = [];
		const passed = this.second ? Math.max(0, Math.min(data.second - this.second, SECONDS)) : 0;
		if (data.columns) {
			this.columns = data.columns;
			this.rows.clear();
		}
		const before = this.rows.size;
		for (const values of data.backends ?? []) this.#take(values, flips);
		for (const id of data.gone ?? []) this.rows.delete(id);
		if (data.columns || data.gone?.length || this.rows.size !== before) this.#count();
		for (const name of ["process", "services", "pools", "second"]) this[name] = data[name] ?? this[name];
		this.#advance(passed);
		this.#share();
		return flips;
	}

	#take(values, flips) {
		const { columns } = this;
		let row = this.rows.get(values[0]);
		const before = row?.look;
		if (!row) this.rows.set(values[0], (row = {}));
		for (let at = 0; at < columns.length; at += 1) row[columns[at]] = values[at];
		row.look = look(row.state);
		if (!before) {
			row.key = `${row.pool}/${row.name}`;
			row.ring = this.ring(row.key);
		} else if (before !== row.look) flips.push(row);
	}

	// Others are there now: rings of whoever is gone go.
	#count() {
		this.list = [...this.rows.values()];
		const keys = new Set(this.list.map((row) => row.key));
		for (const key of this.rings.keys()) {
			if (key.includes("/") && !keys.has(key)) this.rings.delete(key);
		}
		this.members = Map.groupBy(this.list, (row) => row.pool);
	}

	// The ring of a backend (`pool/name`), of a `service:name` or a `pool:name`.
	ring(key) {
		if (!this.rings.has(key)) this.rings.set(key, new Float32Array(SECONDS).fill(NaN));
		return this.rings.get(key);
	}

	// Seconds that were missed are a gap.
	#advance(passed) {
		for (let left = passed; left > 0; left -= 1) {
			this.at = (this.at + 1) % SECONDS;
			for (const ring of this.rings.values()) ring[this.at] = NaN;
		}
		for (const row of this.list) row.ring[this.at] = row.rate ?? NaN;
		for (const [key, it] of this.subjects()) this.ring(key)[this.at] = it.rate;
	}

	// What each backend got of its pool in the last minute, and what its weight says.
	#share() {
		for (const rows of this.members.values()) {
			const takes = (row) => (LOOKS[row.look].rank > 3 || row.state === "full" ? row.effective : 0);
			const sum = (of) => rows.reduce((sum, row) => sum + of(row), 0);
			const [all, weight] = [sum((row) => row.minute), sum(takes)];
			for (const row of rows) {
				row.fair = weight && takes(row) / weight;
				row.share = row.minute / all;
				row.ratio = row.fair ? row.share / row.fair : NaN;
			}
		}
	}

	// What has a history, by the name that the API has for it.
	subjects() {
		const named = (kind, all) => all.map((it) => [`${kind}:${it.name}`, it]);
		const process = { ...this.process, active: this.process?.open };
		return new Map([["process", process], ...named("service", this.services), ...named("pool", this.pools)]);
	}

	// What is wrong, the worst first: { look, what, why, since, filter }.
	troubles() {
		const found = [];
		const say = (look, what, why, since, filter) => found.push({ look, what, why, since, filter });
		const { process: it, second } = this;
		const { reload } = it;
		if (reload && !reload.ok) say("down", "the last reload failed", reload.reason ?? "the log says why", reload.at);
		if (it.state !== "serving") say("draining", `the process is ${it.state}`, "");
		for (const [what, is, limit] of [["connections", it.open, it.limit], ["file descriptors", it.fds, it.fds_max]]) {
			if (limit && is > 0.8 * limit) say("degraded", what, `${percent(is / limit)} of ${number(limit)}`);
		}
		for (const row of this.list) {
			const { key, state, reason, active, max } = row;
			if (row.look !== "up" && row.look !== "unknown") {
				say(row.look, key, reason && reason !== state ? `${state}: ${reason}` : state, row.since, key);
			} else if (max && active > 0.8 * max) {
				say("degraded", key, `${number(active)} of ${number(max)} connections`, null, key);
			} else if (row.waiting) say("degraded", key, `${number(row.waiting)} waiting`, null, key);
		}
		for (const { name, waiting, up, backends } of this.pools) {
			if (waiting) say("degraded", `pool ${name}`, `${number(waiting)} waiting`, null, `pool:${name}`);
			if (backends && !up) say("down", `pool ${name}`, "no backend is up", null, `pool:${name}`);
		}
		for (const { names, file, not_after: end } of this.certificates) {
			const left = Date.parse(end) / 1000 - second;
			const what = names.slice(0, 2).join(", ") || file;
			if (left < 0) say("down", what, "the certificate is over");
			else if (left < 14 * 86_400) say("degraded", what, `the certificate ends in ${span(left)}`);
		}
		return found.sort((a, b) => LOOKS[a.look].rank - LOOKS[b.look].rank || (b.since ?? 0) - (a.since ?? 0));
	}
}
