// The summary above, and what stands beside the list: attention, announcements, events.

import { $, age, clock, count, fill, h, say, short, when } from "./dom.js";
import { draw, spark } from "./spark.js";
import { HELD, counts, store, worded } from "./store.js";

const MOST_NOTES = 5, MOST_EVENTS = 300;
const NODE = "all"; // a drain of every address
const SHARP = { down: "bad", lost: "bad", empty: "bad", failed: "bad", refused: "bad", withdrawn: "bad", disagree: "bad" };

// Tiles.

const tiles = {};

export function makeTiles() {
  for (const [name, title] of Object.entries({
    services: "Services with quorum", servers: "Real servers up", connections: "Active connections",
    vips: "Addresses announced", uplinks: "Uplinks up", table: "Kernel table",
  })) {
    const value = h("span"), small = h("small"), note = h("div", { class: "note" });
    const tile = h("div", { class: "tile" }, h("h3", {}, title), h("div", { class: "value" }, value, small), note);
    tiles[name] = { tile, value, small, note };
    $("tiles").append(tile);
  }
  for (const name of ["services", "servers"]) {
    tiles[name].bars = h("div", { class: "bars", "aria-hidden": "true" }, h("b", { class: "ok" }), h("b", { class: "held" }), h("b", { class: "bad" }));
    tiles[name].note.before(tiles[name].bars);
  }
  tiles.connections.curve = spark();
  tiles.connections.tile.append(tiles.connections.curve);
}

function tile(name, value, small, note, state = "") {
  const { tile: element, value: first, small: second, note: third } = tiles[name];
  element.className = `tile ${state}`;
  say(first, value);
  say(second, small);
  say(third, note);
  third.title = note;
}

function bars(name, ...parts) {
  const total = parts.reduce((sum, part) => sum + part, 0) || 1;
  [...tiles[name].bars.children].forEach((bar, place) => { bar.style.width = `${(100 * parts[place]) / total}%`; });
}

export function showTiles() {
  const { summary, announcer, services } = store;
  const servers = services.flatMap((service) => service.servers);
  const held = servers.filter((server) => HELD.has(server[1])).length;
  const { alive } = summary.servers, down = servers.filter((server) => server[1] === "down" || server[1] === "kept").length;
  const { total, with_quorum: quorum, suspended } = summary.services;
  tile("services", count(quorum), `of ${count(total)}`, suspended ? `${count(suspended)} suspended` : "", quorum < total ? "bad" : "");
  bars("services", quorum, 0, total - quorum);
  tile("servers", count(alive), `of ${count(servers.length)}`, counts(servers), down ? "warn" : "");
  bars("servers", servers.length - held - down, held, down);
  tile("connections", short(store.total.at(-1)), "", "");
  draw(tiles.connections.curve, store.total);
  showAnnounced(announcer);
  showTable(summary.table);
}

function showAnnounced(announcer) {
  if (!announcer || !announcer.vips) {
    tile("vips", "–", "", "no bgp_announcer block");
    tile("uplinks", "–", "", "none configured");
    return;
  }
  const vips = Object.values(announcer.vips), uplinks = Object.values(announcer.uplinks || {});
  const announced = vips.filter((vip) => vip.state === "announced").length;
  const others = ["draining", "withdrawn", "held"].map((state) => [vips.filter((vip) => vip.state === state).length, state]);
  const note = announcer.drains?.[NODE] ? "the node is drained" : others.filter(([number]) => number).map((each) => each.join(" ")).join(", ");
  tile("vips", count(announced), `of ${count(vips.length)}`, note, announced < vips.length ? "warn" : "");
  const up = uplinks.filter((uplink) => uplink.state === "up").length;
  if (!uplinks.length) tile("uplinks", "–", "", "none configured");
  else tile("uplinks", up, `of ${uplinks.length}`, Object.keys(announcer.uplinks).join(", "), up === 0 ? "bad" : up < uplinks.length ? "warn" : "");
}

function showTable(table) {
  const repaired = table.policy === "repair" && table.settled;
  if (table.refused_steps) tile("table", "refused", `${table.refused_steps} steps`, table.drift[0] || table.dataplane, "bad");
  else if (table.drift.length) tile("table", repaired ? "repaired" : "changed", "", `by somebody else: ${table.drift[0]}`, "warn");
  else tile("table", "as wanted", "", `${table.dataplane}${table.repaired ? `, ${table.repaired} repaired so far` : ""}`);
}

// Attention.

export function showAttention(open) {
  const notes = [...troubles()];
  const shown = notes.slice(0, MOST_NOTES).map((note) => h("li", {}, line(note, open)));
  if (notes.length > MOST_NOTES) shown.push(h("li", {}, h("div", { class: "note" }, h("span"), h("small", {}, `and ${notes.length - MOST_NOTES} more: show “trouble” in the list`), h("span"))));
  if (!notes.length) shown.push(h("li", { class: "well" }, h("span", { class: "mark ok" }), "All is well."));
  const text = notes.map((note) => note.title + note.text).join();
  if ($("attention").dataset.text !== text || !notes.length) fill($("attention"), shown);
  $("attention").dataset.text = text;
  say($("attention-count"), notes.length ? count(notes.length) : "");
}

function line(note, open) {
  const parts = [h("span", { class: `mark ${note.state}` }), h("span", {}, h("b", {}, note.title), h("small", {}, note.text)), h("span", { class: "more" }, note.more || "")];
  return note.service ? h("button", { type: "button", onclick: () => open(note.service) }, ...parts) : h("div", { class: "note" }, ...parts);
}

function* troubles() {
  for (const service of store.services) {
    if (service.state === "bad") yield { state: "bad", title: service.where, text: [worded(service), counts(service.servers)].filter(Boolean).join(": "), service: service.name, more: age(store.at - service.since_at) };
  }
  yield* networkTroubles();
  yield* nodeTroubles(store.summary);
  const { table } = store.summary;
  if (table.refused_steps) yield { state: "bad", title: "The kernel refuses", text: `${table.refused_steps} steps of the table were refused; they are tried again` };
  if (table.drift.length) yield { state: "warn", title: `Somebody else changed the table${table.policy === "repair" && table.settled ? "; it was repaired" : ""}`, text: table.drift.join("; ") };
  yield* downServers();
}

const WELL = new Set(["works", "loaded", "loaded, not verified"]); // a module

function* nodeTroubles({ configuration, modules, local_addresses_full: full }) {
  if (configuration?.held) yield { state: "warn", title: "A reload waits for your word", text: `${configuration.refused}; keepalive-ctl config says more` };
  else if (configuration?.refused) yield { state: "warn", title: "The last reload was refused", text: `The configuration before it runs on: ${configuration.refused}` };
  for (const [name, state] of Object.entries(modules || {})) {
    if (!WELL.has(state)) yield { state: "warn", title: `Kernel module ${name}`, text: state };
  }
  for (const each of full || []) yield { state: "bad", title: `Local address ${each.address} is nearly used up`, text: `${count(each.busiest_sessions)} of ${count(each.ports)} ports to ${each.busiest}` };
}

function* networkTroubles() {
  const { announcer } = store;
  for (const [name, uplink] of Object.entries(announcer?.uplinks || {})) {
    if (uplink.state !== "up") yield { state: uplink.state === "down" ? "bad" : "warn", title: `Uplink ${name}`, text: uplink.detail || uplink.state };
  }
  for (const [name, drain] of Object.entries(announcer?.drains || {})) {
    const text = `by ${drain.by || "somebody"}${drain.reason ? `: ${drain.reason}` : ""}`;
    yield { state: "held", title: name === NODE ? "This node is drained" : `${name} is drained`, text, more: drain.until ? `until ${when(drain.until)}` : "" };
  }
  for (const text of announcer?.disagreements || []) yield { state: "warn", title: "Routing daemon", text };
}

/** A server that is down in several services is one trouble; so are those of one service. */
function* downServers() {
  const found = new Map(), alone = new Map();
  for (const service of store.services) {
    if (service.state === "bad") continue; // told as a whole
    for (const [name, state, , , why] of service.servers) {
      if (state !== "down" && state !== "kept") continue;
      const known = found.get(name) || { why: state === "kept" ? `${why}, held in` : why, services: [] };
      known.services.push(service);
      found.set(name, known);
    }
  }
  for (const [name, { why, services }] of found) {
    if (services.length > 1) yield { state: "warn", title: name, text: `down in ${services.length} services`, more: why, service: services[0].name };
    else alone.set(services[0], [...(alone.get(services[0]) || []), `${name} (${why})`]);
  }
  for (const [service, names] of alone) {
    const text = names.length > 3 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
    yield { state: "warn", title: service.where, text, more: `${names.length} of ${service.servers.length} down`, service: service.name };
  }
}

// Announcements.

export function showNetwork(act) {
  const { announcer } = store, text = JSON.stringify([announcer, store.role]);
  const vips = Object.values(announcer?.vips || {}), drained = Boolean(announcer?.drains?.[NODE]);
  $("node").hidden = !vips.length || store.role !== "operator";
  $("node").dataset.drained = String(drained);
  say($("node"), drained ? "Undrain node" : "Drain node…");
  if ($("network").dataset.text === text) return;
  $("network").dataset.text = text;
  if (!announcer || !announcer.vips) {
    fill($("network"), [h("p", { class: "plain" }, "Nothing is announced from here: there is no bgp_announcer block.")]);
    return;
  }
  say($("network-count"), `${vips.filter((vip) => vip.state === "announced").length} of ${vips.length} announced`);
  fill($("network"), [tree(announcer), h("h3", { class: "sub" }, "Virtual addresses"), h("ul", { class: "vips" }, ...Object.entries(announcer.vips).map(([address, vip]) => h("li", {}, chip(address, vip, Boolean(announcer.drains?.[address]), act))))]);
}

const VIP_STATES = { announced: "ok", draining: "held", withdrawn: "held", held: "bad" };

/** For operators it drains the address, or takes that back. */
function chip(address, vip, drained, act) {
  const why = [vip.state, vip.why, vip.damped ? "damped" : "", vip.drained_by ? `drained by ${vip.drained_by}${vip.drain_reason ? `: ${vip.drain_reason}` : ""}` : ""].filter(Boolean).join(", ");
  const label = vip.state === "announced" ? address : `${address} ${vip.state}`;
  const looks = { class: `pill vip ${VIP_STATES[vip.state] || ""}`, title: why };
  if (store.role !== "operator") return h("span", { ...looks, "aria-label": `${address}: ${why}` }, label);
  const what = drained ? "undrain address" : "drain address", word = drained ? "Undrain" : "Drain";
  return h("button", { ...looks, type: "button", "data-focus": `address ${address}`, "aria-label": `${address}: ${why}. ${word}`, title: `${why}\n${word} this address`, onclick: () => act(what, null, null, address) }, label);
}

function tree(announcer) {
  const leaves = [
    ...Object.entries(announcer.uplinks || {}).map(([name, uplink]) => leaf(`uplink ${name}`, uplink.detail || uplink.kind, uplink.state, { up: "ok", degraded: "warn", down: "bad" }[uplink.state])),
    ...Object.entries(announcer.sessions || {}).map(([name, session]) => leaf(name, `BGP to ${session.neighbour}${session.bfd ? `, BFD ${session.bfd}` : ""}`, session.state.toLowerCase(), session.state.toLowerCase() === "established" ? "ok" : "bad")),
  ];
  const vips = Object.keys(announcer.vips).length, drained = Boolean(announcer.drains?.[NODE]);
  const node = h("div", { class: drained ? "node held" : "node" }, "this node", h("small", {}, drained ? "drained" : vips === 1 ? "1 address" : `${vips} addresses`));
  if (!leaves.length) return h("div", { class: "tree" }, node);
  return h("div", { class: "tree" }, node, h("div", { class: "trunk" }), h("ul", { class: "branches" }, ...leaves));
}

function leaf(name, detail, state, mark) {
  return h("li", { class: mark }, h("div", { class: "leaf" }, h("span", { class: `mark ${mark}` }), h("b", {}, name), h("small", {}, detail || ""), h("span", { class: `pill ${mark}` }, state)));
}

// Events.

export function addEvents(fresh) {
  const feed = $("events"), rows = fresh.slice(-MOST_EVENTS).reverse().map(row);
  feed.prepend(...rows);
  while (feed.children.length > MOST_EVENTS) feed.lastChild.remove();
  say($("events-count"), feed.children.length >= MOST_EVENTS ? `the last ${MOST_EVENTS}` : count(feed.children.length));
}

export function noEvents(text) {
  if (!$("events").children.length) fill($("events"), [h("li", { class: "plain" }, text)]);
}

export function row(event) {
  const why = event.reason ? h("span", { class: "why" }, event.reason) : null;
  return h("li", {}, h("time", { datetime: new Date(event.at * 1000).toISOString(), title: new Date(event.at * 1000).toLocaleString() }, clock(event.at)), h("span", { class: `mark ${markOf(event.kind)}` }), h("p", {}, event.text, why));
}

function markOf(kind) {
  const last = kind.split("_").at(-1);
  if (SHARP[last]) return SHARP[last];
  if (/override|drain|held/.test(kind)) return "held";
  if (/up|gained|passed|announced|restored|agreed|full/.test(last)) return "ok";
  return /weight|sorry|repaired|missed/.test(kind) ? "warn" : "off";
}
