// What changes something: always asked for first, always through the API, which says who may.

import { $, number, put } from "./format.js";
import { ask, token } from "./live.js";

/** Asks in a dialog. Gives what was typed (or true), or null. */
function question({ title, text, yes, label = null, type = "text", value = "" }) {
  const dialog = $("act");
  put($("act-title"), title);
  put($("act-text"), text);
  put($("act-yes"), yes);
  $("act-label").hidden = !label;
  const input = $("act-input");
  if (label) {
    put($("act-label").firstElementChild, label);
    Object.assign(input, { type, value, autocomplete: "off", min: 0 });
  }
  return new Promise((done) => {
    const end = (answer) => {
      dialog.onclose = null;
      dialog.close();
      input.value = "";
      done(answer);
    };
    $("act-yes").onclick = () => end(label ? input.value : true);
    $("act-no").onclick = () => end(null);
    input.onkeydown = (event) => event.key === "Enter" && $("act-yes").click();
    dialog.onclose = () => end(null);
    dialog.showModal();
    (label ? input : $("act-yes")).focus();
    if (label) input.select();
  });
}

let timer = 0;

/** A few words that go by themselves. */
export function say(text) {
  const it = $("said");
  it.hidden = false;
  it.textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => (it.hidden = true), 6000);
}

const QUESTIONS = {
  drain: (row) => ({
    title: `Drain ${row.key}?`,
    text: `It gets nothing new and is still probed. ${number(row.active)} open connections end by themselves.`,
    yes: "Drain",
    body: () => ({ admin: "drain" }),
  }),
  ready: (row) => ({
    title: `Make ${row.key} ready?`,
    text: "It gets its share again as soon as it is up.",
    yes: "Make ready",
    body: () => ({ admin: "ready" }),
  }),
  weight: (row) => ({
    title: `Weight of ${row.key}`,
    text: `Configured is ${number(row.weight)}, effective now ${number(row.effective)}.`,
    yes: "Set weight",
    label: "Weight",
    type: "number",
    value: row.weight,
    body: (text) => ({ weight: Number(text) }),
  }),
};

/** Drains, makes ready or weighs a backend, if whoever looks means it. */
export async function act(what, row) {
  if (!row) return;
  const it = QUESTIONS[what](row);
  const answer = await question(it);
  if (answer === null || answer === "") return;
  const path = `/api/v1/pools/${encodeURIComponent(row.pool)}/backends/${encodeURIComponent(row.name)}`;
  try {
    await ask(path, "PATCH", it.body(answer));
    say(`${row.key}: done`);
  } catch (error) {
    say(`${row.key}: ${error.status ?? "not answered"}: ${error.message}`);
    if (error.status === 401) await signIn();
  }
}

let asking = null;

/** Asks for a token, once however many want one. Says whether there is another one now. */
export function signIn() {
  asking ??= question({
    title: "A token is wanted here",
    text: "One of admin.tokens. It is kept in this tab alone, until that is closed.",
    yes: "Sign in",
    label: "Token",
    type: "password",
  }).then((text) => {
    asking = null;
    if (!text) return false;
    token.set(text.trim());
    return true;
  });
  return asking;
}
