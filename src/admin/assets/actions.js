// What changes something: always asked for first, always through the API, which knows who may.

import { $, number, put } from "./format.js";
import { ask, token } from "./live.js";

/** Asks in a dialog. Gives what was typed, or "" if there is nothing to type; null is no. */
function question({ title, text, yes, type = null, value = "" }) {
	const [dialog, input] = [$("act"), $("act-input")];
	put($("act-title"), title);
	put($("act-text"), text);
	put($("act-yes"), yes);
	input.hidden = !type;
	Object.assign(input, { type: type ?? "text", value, ariaLabel: title });
	return new Promise((done) => {
		dialog.onclose = () => done(null);
		$("act-no").onclick = () => dialog.close();
		$("act-yes").onclick = () => {
			done(input.value);
			input.value = "";
			dialog.close();
		};
		input.onkeydown = (event) => event.key === "Enter" && $("act-yes").click();
		dialog.showModal();
		(type ? input : $("act-yes")).focus();
	});
}

let timer = 0;

/** A few words that go by themselves. */
function say(text) {
	$("said").hidden = false;
	$("said").textContent = text;
	clearTimeout(timer);
	timer = setTimeout(() => ($("said").hidden = true), 8000);
}

const ACTS = {
	drain: ({ key, active }) => ({
		title: `Drain ${key}?`,
		text: `It gets nothing new; ${number(active)} connections end by themselves. It is still probed.`,
		yes: "Drain",
		body: () => ({ admin: "drain" }),
	}),
	ready: ({ key }) => ({
		title: `Make ${key} ready?`, text: "It gets its share as soon as it is up.", yes: "Make ready",
		body: () => ({ admin: "ready" }),
	}),
	weight: ({ key, weight }) => ({
		title: `Weight of ${key}`, text: `It is configured as ${number(weight)}.`, yes: "Set weight",
		type: "number", value: weight, body: (text) => ({ weight: Number(text) }),
	}),
};

/** Drains, makes ready or weighs a backend, if that is meant. */
export async function act(what, row) {
	const it = ACTS[what](row);
	const answer = await question(it);
	if (answer === null) return;
	const [pool, name] = [row.pool, row.name].map(encodeURIComponent);
	await ask(`/api/v1/pools/${pool}/backends/${name}`, it.body(answer)).then(
		() => say(`${row.key}: done`),
		(error) => say(`${row.key}: ${error.status ?? ""} ${error.message}`),
	);
}

let asking = null;

/** Asks for a token, once for all who want one. Says whether there is another one now. */
export function signIn() {
	asking ??= question({
		title: "A token is wanted here",
		text: "One of admin.tokens. It is kept in this tab, until that is closed.",
		yes: "Sign in",
		type: "password",
	}).then((text) => {
		asking = null;
		if (text) token.set(text.trim());
		return Boolean(text);
	});
	return asking;
}
