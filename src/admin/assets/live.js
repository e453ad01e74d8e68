// The ways to the balancer: single questions, and streams of server-sent events that are opened
// again whenever they end. Streams are read by fetch() and not by EventSource, which cannot show a
// token.

const KEY = "pointsman-token";

/** It lives as long as the tab. */
export const token = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (text) => (text ? sessionStorage.setItem(KEY, text) : sessionStorage.removeItem(KEY)),
};

function headers(more = {}) {
  return token.get() ? { ...more, Authorization: `Bearer ${token.get()}` } : more;
}

/** What is answered, or an error with `status` and the words of the problem. */
export async function ask(path, method = "GET", body = undefined) {
  const fields = body ? { "Content-Type": "application/json", "X-Reason": "dashboard" } : {};
  const text = body && JSON.stringify(body);
  const answer = await fetch(path, { method, headers: headers(fields), body: text, cache: "no-store" });
  const value = await answer.json().catch(() => ({}));
  if (answer.ok) return value;
  const words = value.detail ?? value.title ?? answer.statusText;
  throw Object.assign(new Error(words), { status: answer.status });
}

const RETRY_MS = 1000;
const RETRY_MS_MAX = 5000;

/**
 * Reads a stream for ever. `path` is a function, for it may ask for what was missed; `on` has
 * event(kind, data, id), open(), lost(status). After `silence` ms without a byte it is taken for
 * dead. Gives { open, close }.
 */
export function stream(path, silence, on) {
  let run = null;

  async function read(signal) {
    const answer = await fetch(path(), { headers: headers(), signal, cache: "no-store" });
    if (!answer.ok) return answer.status;
    on.open();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await within(silence, reader.read());
      if (done) return 0;
      text += value;
      // Events end with an empty line; the rest of the text is the beginning of the next.
      let end = text.lastIndexOf("\n\n");
      if (end < 0) continue;
      for (const block of text.slice(0, end).split("\n\n")) tell(block);
      text = text.slice(end + 2);
    }
  }

  function tell(block) {
    let kind = "message", id = "", data = "";
    for (const line of block.split("\n")) {
      const at = line.indexOf(":");
      const value = line.slice(at + 1).replace(/^ /, "");
      if (line.startsWith("event:")) kind = value;
      else if (line.startsWith("id:")) id = value;
      else if (line.startsWith("data:")) data += value;
    }
    if (data || kind === "resync") on.event(kind, data ? JSON.parse(data) : null, id);
  }

  async function loop(own) {
    let pause = RETRY_MS;
    while (run === own) {
      let status = 0;
      const began = Date.now();
      try {
        status = await read(own.signal);
      } catch (error) {
        if (run !== own) return;
        if (error instanceof SyntaxError || error instanceof TypeError && error.stack?.includes("tell")) console.error(error);
      }
      if (run !== own) return;
      on.lost(status);
      if (Date.now() - began > 10_000) pause = RETRY_MS;
      await new Promise((done) => setTimeout(done, pause));
      pause = Math.min(pause * 1.5, RETRY_MS_MAX);
    }
  }

  return {
    open() {
      if (run) return;
      run = new AbortController();
      loop(run);
    },
    close() {
      run?.abort();
      run = null;
    },
  };
}

function within(time, promise) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error("silence")), time);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
