// One virtual server, with its real servers and their checks.

import { $, age, count, fill, h, short, took, when } from "./dom.js";
import { draw, spark } from "./spark.js";
import { MARKS, longer, store, worded } from "./store.js";

let curves = new Map(); // of the open service: server -> connections

let pressed = false; // a click needs what it began on to be there still
$("detail").addEventListener("pointerdown", () => { pressed = true; });
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(() => { pressed = false; }));

export function forget() {
  curves = new Map();
}

/** `full` is a row of /v1/services. The focus, and what was scrolled, stay. */
export function showDetail(full, act, close) {
  const place = $("detail"), service = store.byName.get(full.name);
  if (pressed && !place.hidden) return;
  const top = place.scrollTop;
  fill(place, [
    h("div", { class: "head" },
      h("h2", { id: "detail-title", tabindex: "-1", "data-focus": "title" }, service ? `${service.protocol} ${service.where}` : full.name),
      service ? h("span", { class: `pill ${service.state}` }, worded(service)) : null,
      h("button", { class: "close", type: "button", "aria-label": "Close", "data-focus": "close", onclick: close }, "×")),
    facts(full, service),
    h("ul", { class: "servers" }, ...full.real_servers.map((server) => h("li", {}, serverOf(full, server, act)))),
  ]);
  place.hidden = false;
  place.scrollTop = top;
}

function facts(full, service) {
  const counters = full.counters || {};
  const said = [
    ["scheduler", full.scheduler], ["forwarding", full.forwarding],
    ["quorum", full.hysteresis ? `${full.quorum} ± ${full.hysteresis}` : full.quorum], ["weight alive", count(full.alive_weight)],
    ["for", age(store.at - full.since_at)], ["connections", count(service?.active)], ["in all", short(counters.connections)],
    full.sorry_server ? ["sorry server", `${full.sorry_server.name}${full.sorry_server.in_use ? " (serves)" : ""}`] : null,
    full.members ? ["addresses", full.members.join(", ")] : null,
  ];
  return h("div", { class: "facts" }, ...said.filter(Boolean).map(([name, value]) => h("span", {}, `${name} `, h("b", {}, String(value)))));
}

function serverOf(full, server, act) {
  const state = stateOf(server), place = server.address.includes(":") ? `[${server.address}]:${server.port}` : `${server.address}:${server.port}`;
  const active = server.counters ? server.counters.active_connections : null;
  const curve = longer(curves.get(server.name) || [], active);
  curves.set(server.name, curve);
  const connections = spark(`Active connections lately, now ${active}`);
  draw(connections, curve);
  return h("div", { class: "server" },
    h("span", { class: `mark ${MARKS[state]}` }),
    h("span", { class: "who" }, h("b", {}, place), h("span", { class: `pill ${MARKS[state]}` }, SAID[state] || state)),
    h("span", { class: "acts" }, ...buttons(full, server, place, state, act)),
    ...held(server),
    h("div", { class: "more" },
      h("span", {}, "weight ", h("b", {}, weightOf(server))), h("span", {}, `${server.alive ? "up" : "down"} for `, h("b", {}, age(store.at - server.since_at)))),
    h("div", { class: "check" }, h("span", {}, "connections"), connections, h("span", { class: "took" }, count(active)),
      h("span", { class: "said" }, server.counters ? `${count(server.counters.inactive_connections)} ending` : "not in the table")),
    ...server.checks.map(checkOf));
}

function weightOf(server) {
  const weight = server.effective_weight, now = weight === null ? "–" : String(weight);
  return weight !== null && weight !== server.configured_weight ? `${now} (configured ${server.configured_weight})` : now;
}

function stateOf(server) {
  const ordered = { drain: "drained", disable: "disabled" }[server.override?.action];
  if (ordered) return ordered;
  if (!server.alive) return server.held ? "kept" : "down";
  if (server.suppressed) return "suppressed";
  return server.pool_weight === null ? "waiting" : "up";
}

const SAID = { kept: "down, held in", suppressed: "up, kept out: it flaps", waiting: "up, sorry server serves" };

function held(server) {
  const override = server.override;
  if (!override) return [];
  const until = override.until ? `, until ${when(override.until)}` : "";
  const down = server.alive ? "" : "; its checks find it down, too";
  return [h("div", { class: "drained" }, `by ${override.by || "somebody"}${override.reason ? `: ${override.reason}` : ""}${until}${down}`)];
}

function buttons(full, server, place, state, act) {
  if (store.role !== "operator") return [];
  const make = (word, what) => h("button", { type: "button", "data-focus": `${what} ${place}`, "aria-label": `${word} ${place}`, onclick: () => act(what, full, server, place) }, word);
  return [make("Check now", "check"), server.override ? make("Undrain", "undrain") : make("Drain…", "drain")];
}

function checkOf(check) {
  const runs = check.history || [], last = check.last || { result: "has not run yet" };
  const curve = spark(`Latency of the last ${runs.length} checks`);
  draw(curve, runs.map((run) => run.took), runs.flatMap((run, at) => (run.passed === false ? [at] : [])));
  const again = !check.up && last.result === "passed" ? `passed ${check.successes} of ${check.rise} times in a row` : "";
  const said = again ? again : last.result === "failed" ? [last.reason, last.detail].filter(Boolean).join(": ") : last.result === "unknown" ? `not known: ${last.reason} ${last.detail}` : last.detail || last.result;
  const well = last.result !== "failed" && last.result !== "unknown"; // else it is worth a line of its own
  return h("div", { class: "check" }, h("code", {}, check.kind), curve, h("span", { class: "took" }, took(check.took)),
    h("span", { class: `said ${well ? "" : last.result === "failed" ? "whole bad" : "whole"}`, title: said }, said));
}
