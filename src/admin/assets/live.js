// Questions to the balancer, and streams of server-sent events that are opened again whenever they
// end. They are read by fetch(), for EventSource cannot show a token.

const KEY = "pointsman-token";

// It lives as long as the tab.
export const token = {
	get: () => sessionStorage.getItem(KEY),
	set: (text) => sessionStorage.setItem(KEY, text),
};

function fetched(path, options, fields = {}) {
	if (token.get()) fields.Authorization = `Bearer ${token.get()}`;
	return fetch(path, { ...options, headers: fields, cache: "no-store" });
}

// What is answered, or an error with its `status` and in the words of the problem.
export async function ask(path, body = null) {
	const fields = { "Content-Type": "application/json", "X-Reason": "dashboard" };
	const answer = body
		? await fetched(path, { method: "PATCH", body: JSON.stringify(body) }, fields)
		: await fetched(path);
	const value = await answer.json().catch(() => ({}));
	if (answer.ok) return value;
	throw Object.assign(new Error(value.detail ?? answer.statusText), { status: answer.status });
}

const RETRY_MS = 1000;
const SILENCE_MS = 20_000;

// A stream that is kept open. `path()` may ask for what was missed; `on` has event(kind, data, id),
// and lost(status) each time that it ends or cannot be had.
export function stream(path, on) {
	let run = null;

	async function read(own) {
		const stop = (own.stop = new AbortController());
		const answer = await fetched(path(), { signal: stop.signal });
		if (!answer.ok) return answer.status;
		const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
		let text = "";
		for (;;) {
			const silent = setTimeout(() => stop.abort(), SILENCE_MS);
			const { done, value } = await reader.read().finally(() => clearTimeout(silent));
			if (done || run !== own) return 0;
			text += value;
			// An event ends with an empty line; what follows the last of them is not whole yet.
			const events = text.split("\n\n");
			text = events.pop();
			try {
				events.forEach(tell);
			} catch (error) {
				reportError(error);
			}
		}
	}

	function tell(text) {
		const it = { event: "message", data: "", id: "" };
		for (const line of text.split("\n")) {
			const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
			if (name) it[name] = value;
		}
		if (it.data) on.event(it.event, JSON.parse(it.data), it.id);
	}

	async function keep(own) {
		while (run === own) {
			const status = await read(own).catch(() => 0);
			if (run !== own) return;
			on.lost?.(status);
			await new Promise((done) => setTimeout(done, RETRY_MS));
		}
	}

	return {
		open() {
			if (!run) keep((run = {}));
		},
		close() {
			run?.stop.abort();
			run = null;
		},
	};
}
