// What changes something: asked for first, and done through the API, which knows who may.

import { $, put } from "./format.js";
import { ask, token } from "./live.js";

// Asks in a dialog. Gives what was typed; null is no.
function question(title, text, yes, type = "", value = "") {
	const [dialog, input] = [$("act"), $("act-input")];
	put($("act-title"), title);
	put($("act-text"), text);
	put($("act-yes"), yes);
	Object.assign(input, { hidden: !type, type, value, ariaLabel: title });
	return new Promise((done) => {
		// That another dialog was closed may be told late.
		dialog.onclose = () => dialog.open || done(null);
		$("act-no").onclick = () => dialog.close();
		$("act-yes").onclick = () => {
			done(input.value);
			input.value = "";
			dialog.close();
		};
		input.onkeydown = ({ key }) => {
			if (key === "Enter") $("act-yes").click();
		};
		dialog.showModal();
		(type ? input : $("act-yes")).focus();
	});
}

let timer = 0;

function say(text) {
	$("said").hidden = false;
	put($("said"), text);
	clearTimeout(timer);
	timer = setTimeout(() => ($("said").hidden = true), 8000);
}

const ACTS = {
	drain: ({ key, active }) => [`Drain ${key}?`, `It gets nothing new; ${active} connections end by themselves.`, "Drain"],
	ready: ({ key }) => [`Make ${key} ready?`, "It gets its share as soon as it is up.", "Make ready"],
	weight: ({ key, weight }) => [`Weight of ${key}`, `It is configured as ${weight}.`, "Set weight", "number", weight],
};

export async function act(what, row) {
	const answer = await question(...ACTS[what](row));
	if (answer === null) return;
	const [pool, name] = [row.pool, row.name].map(encodeURIComponent);
	const body = what === "weight" ? { weight: Number(answer) } : { admin: what };
	const done = ask(`/api/v1/pools/${pool}/backends/${name}`, body);
	say(await done.then(() => `${row.key}: done`, (error) => `${row.key}: ${error.status ?? ""} ${error.message}`));
}

// Asks for a token. Says whether there is another one now.
export function signIn() {
	const text = "One of admin.tokens. It is kept in this tab, until that is closed.";
	return question("A token is wanted here", text, "Sign in", "password").then((typed) => {
		if (typed) token.set(typed.trim());
		return Boolean(typed);
	});
}
