// The API. A token, if one is needed, travels in a header: nothing that a browser adds by itself
// (no cookie) lets anybody in, so another site's page can do nothing in this one's name.

const PATIENCE = 15000; // ms for an answer
const KEY = "keepalive_py token";

/** `plain` is its message without the hint, which is for programs. */
export class Unauthorised extends Error {
  constructor(text, plain) {
    super(text);
    this.plain = plain;
  }
}

let token = sessionStorage.getItem(KEY) || "";

export function remember(given) {
  token = given;
  if (given) sessionStorage.setItem(KEY, given);
  else sessionStorage.removeItem(KEY);
}

export const hasToken = () => Boolean(token);

function headers(more = {}) {
  return token ? { Authorization: `Bearer ${token}`, ...more } : more;
}

/** A token in the address (#once=…, which is exchanged, or #token=…) is taken out of it at once. */
export async function enter() {
  const [, kind, given] = /^#(once|token)=([\w.~-]+)$/.exec(location.hash) || [];
  if (!kind) return;
  history.replaceState(null, "", location.pathname);
  if (kind === "token") remember(given);
  else {
    remember("");
    remember((await ask("POST", "/session", { once: given })).token);
  }
}

export async function ask(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }),
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE),
    cache: "no-store",
  });
  if (response.ok) return response.json();
  throw await refusal(response);
}

export const get = (path) => ask("GET", path);

async function refusal(response) {
  const told = await response.json().catch(() => ({}));
  const text = told.error ? [told.error.message, told.error.hint].filter(Boolean).join("; ") : `HTTP status ${response.status}`;
  return response.status === 401 ? new Unauthorised(text, told.error?.message || text) : new Error(text);
}

/** Server-sent events, for ever: `told(event, id)` for each. EventSource cannot send a token. */
export async function follow(path, told, lost) {
  let last = "", pause = 500;
  for (;;) {
    try {
      const response = await fetch(path, { headers: headers(last ? { "Last-Event-ID": last } : {}), cache: "no-store" });
      if (!response.ok) throw await refusal(response);
      pause = 500;
      await read(response.body, (id, data) => {
        if (id) last = id;
        if (data) told(JSON.parse(data), id);
      });
    } catch (error) {
      lost(error);
    }
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(pause * 2, 15000);
  }
}

async function read(body, told) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (text + value).replaceAll("\r\n", "\n").split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split("\n").filter((line) => line.startsWith(`${name}:`))
        .map((line) => line.slice(name.length + 1).trimStart()).join("\n");
      told(field("id"), field("data"));
    }
  }
}
