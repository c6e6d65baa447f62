// The page: asks again and again, shows what came, and says when nothing comes.

import { $, age, clock, dress, h, many, say } from "./dom.js";
import { Unauthorised, enter, follow, get, hasToken, remember } from "./api.js";
import { makeActions } from "./actions.js";
import { forget, showDetail } from "./detail.js";
import { VirtualList } from "./list.js";
import { addEvents, makeTiles, noEvents, showAttention, showNetwork, showTiles } from "./panels.js";
import { makeRow, showRow } from "./services.js";
import { chosen, counted, store, take } from "./store.js";

const EVERY = 2000; // ms between two questions, at least
const STALE = 8000, LOST = 20000; // ms without an answer
const FILTERS = { all: "All", trouble: "Trouble", held: "Drained" };

const view = { filter: "all", open: null, answered: 0, failure: "", pictured: 0, locked: false, following: false, asking: false, again: false, rest: 0, ended: 0, began: Date.now() };

const list = new VirtualList($("rows"), { make: makeRow, show: showRow, key: (service) => service.name, pick: (service) => open(service.name) });
const act = makeActions(() => refresh());

// Asking.

let timer = 0;

async function refresh() {
  clearTimeout(timer);
  if ($("entry").open) return; // its end goes on
  if (view.asking) { view.again = true; return; }
  view.asking = true;
  const began = performance.now();
  try {
    if (!store.caller) await introduce();
    const before = store.at;
    take(await get("/v1/overview"));
    if (store.at !== before) view.pictured = Date.now(); // a busy daemon may hand out one picture for a while
    if (view.open) await refreshDetail();
    view.answered = Date.now();
    view.failure = "";
    view.locked = false;
    show();
    followEvents();
  } catch (error) {
    view.failure = worded(error);
    view.locked = error instanceof Unauthorised;
    if (view.locked) askForToken(hasToken() ? error.plain : linkTrouble);
  }
  view.asking = false;
  showLink();
  const cost = performance.now() - began;
  view.rest = 4 * cost; // the daemon has other work to do than ours
  view.ended = performance.now();
  const pause = view.again ? Math.max(150, view.rest) : document.hidden ? 30000 : Math.max(EVERY, 10 * cost);
  view.again = false;
  timer = setTimeout(refresh, pause);
}

/** fetch() throws a TypeError of its own words when nobody answers; any other one is this page's mistake. */
function worded(error) {
  if (error instanceof TypeError && /fetch|network/i.test(error.message)) return "nobody answers";
  if (error instanceof TypeError || error instanceof ReferenceError) console.error(error.stack);
  return error.message;
}

async function introduce() {
  const caller = await get("/v1/caller");
  store.caller = caller.name;
  store.role = caller.role;
  say($("who"), `${caller.name} · ${caller.role}`);
}

let linkTrouble = ""; // why the link that led here did not help

/** `why`: what is wrong with the one that was tried. */
function askForToken(why) {
  remember("");
  store.caller = "";
  say($("entry-trouble"), why);
  $("entry-trouble").hidden = !why;
  if (!$("entry").open) $("entry").showModal();
}

$("entry-form").addEventListener("submit", () => {
  remember($("entry-token").value.trim());
  $("entry-token").value = "";
});
$("entry").addEventListener("close", refresh);

let soon = 0;
/** Something happened: look sooner, but never so often that it costs more than it is worth. */
function hurry() {
  const wait = Math.max(250, view.ended + view.rest - performance.now());
  if (!soon && !document.hidden) soon = setTimeout(() => { soon = 0; refresh(); }, wait);
}

// Showing.

function show() {
  const { summary } = store;
  document.title = `${summary.services.with_quorum < summary.services.total ? "▲ " : ""}${summary.host || "keepalive_py"}`;
  say($("host"), summary.host || "");
  showTiles();
  showFilters();
  showList();
  showAttention(open);
  showNetwork(act);
  const parts = [`version ${summary.version}`, `up ${age(summary.uptime)}`, many(summary.reloads, "reload"), ...(summary.config_files || []).slice(0, 1)];
  say($("foot"), parts.join("  ·  "));
}

function showList() {
  const found = chosen(view.filter, $("sort").value, $("find").value);
  list.set(found);
  $("nothing").hidden = found.length > 0;
  say($("nothing"), store.services.length ? "No service is like that." : "There are no services.");
}

function showFilters() {
  const place = $("filters");
  if (!place.children.length) {
    for (const name of Object.keys(FILTERS)) {
      place.append(h("button", { type: "button", "data-filter": name, onclick: () => { view.filter = name; showFilters(); showList(); } }, FILTERS[name], h("span", { class: "n" })));
    }
  }
  for (const button of place.children) {
    button.setAttribute("aria-pressed", String(button.dataset.filter === view.filter));
    say(button.lastChild, counted(button.dataset.filter));
  }
}

/** How fresh it all is. */
function showLink() {
  if (view.locked) {
    dress($("link"), "link stale");
    say($("link-text"), "needs a token");
    document.body.classList.toggle("lost", view.answered > 0);
    $("banner").hidden = true;
    return;
  }
  const since = (view.answered && view.pictured) || view.began, old = Date.now() - since, refused = view.failure && old > EVERY * 1.5;
  const silent = Date.now() - (view.answered || view.began) > LOST;
  const state = !view.answered && !view.failure ? "" : silent || (refused && old > EVERY * 2) ? "lost" : old > STALE || view.failure ? "stale" : "live";
  dress($("link"), `link ${state}`);
  const ago = Math.round(old / 1000);
  say($("link-text"), state === "live" ? "live" : state === "stale" ? `${ago} s old` : state === "lost" ? "no connection" : "connecting");
  document.body.classList.toggle("lost", state === "lost");
  $("banner").hidden = state !== "lost";
  if (state === "lost") {
    const what = view.answered ? `What you see is from ${clock(since / 1000)}.` : "";
    say($("banner-text"), `No answer from the daemon${view.failure ? ` (${view.failure})` : ""}. ${what}`);
  }
}

// What happens.

let fresh = [];
/** We were slower than the daemon's memory is long. */
const missed = (number) => ({ at: Date.now() / 1000, kind: "events_missed", reason: "", text: `${number} events came too fast to be shown` });

/** From the first answer on: before it, nobody let us in. */
function followEvents() {
  if (view.following) return;
  view.following = true;
  follow("/v1/events?oldest=true", (event) => {
    fresh.push(event.missed === undefined ? event : missed(event.missed));
    if (fresh.length === 1) requestAnimationFrame(() => { addEvents(fresh); fresh = []; });
    hurry();
  }, (error) => noEvents(error.message));
}

// One service.

function open(name) {
  location.hash = `#/${encodeURIComponent(name)}`;
}

function close() {
  if (view.open) history.pushState(null, "", location.pathname);
  followAddress();
  $("rows").focus({ preventScroll: true });
}

async function followAddress() {
  const name = location.hash.startsWith("#/") ? decodeURIComponent(location.hash.slice(2)) : null;
  if (name !== view.open) forget();
  view.open = name;
  list.choose(name);
  if (name === null) { $("detail").hidden = true; return; }
  try {
    await refreshDetail();
    $("detail").scrollIntoView({ block: "nearest" });
    $("detail-title")?.focus({ preventScroll: true });
  } catch (error) {
    view.failure = worded(error);
    showLink();
  }
}

async function refreshDetail() {
  const name = view.open, found = await get(`/v1/services?service=${encodeURIComponent(name)}`);
  if (view.open !== name) return;
  if (found.services.length) showDetail(found.services[0], act, close);
  else close();
}

// Keys, and the rest.

addEventListener("hashchange", followAddress);
addEventListener("popstate", followAddress);
addEventListener("online", refresh);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
$("node").addEventListener("click", () => act($("node").dataset.drained === "true" ? "undrain node" : "drain node"));
$("retry").addEventListener("click", refresh);
$("find").addEventListener("input", showList);
$("sort").addEventListener("change", showList);
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea") || event.target.closest("dialog");
  if (event.key === "Escape" && !event.target.closest("dialog")) {
    if (event.target === $("find")) { $("find").value = ""; showList(); $("rows").focus(); }
    else if (view.open) close();
  } else if (event.key === "/" && !typing) {
    event.preventDefault();
    $("find").focus();
  } else if (event.key === "ArrowDown" && event.target === $("find")) $("rows").focus();
});

makeTiles();
setInterval(showLink, 1000);
await enter().catch((error) => { linkTrouble = view.failure = error.message; });
await refresh();
if (location.hash) followAddress();
