// A row of the list: one virtual server.

import { dress, h, hint, say, short } from "./dom.js";
import { option } from "./list.js";
import { draw, spark } from "./spark.js";
import { MARKS, counts, store, worded } from "./store.js";

const CELLS = 40; // servers that are drawn one by one

export function makeRow() {
  return option(
    h("span", { class: "mark" }),
    h("span", { class: "name" }, h("b"), h("span")),
    h("span", { class: "strip", "aria-hidden": "true" }),
    h("span", { class: "up" }, h("span"), h("small")),
    h("span", { class: "conns" }),
    spark(),
  );
}

export function showRow(element, service) {
  const [mark, name, strip, up, conns, curve] = element.children;
  dress(mark, `mark ${service.state}`);
  say(name.children[0], service.where);
  const about = [service.protocol, service.scheduler, service.forwarding];
  const wrong = service.state === "bad" || service.state === "off" ? worded(service) : counts(service.servers);
  if (wrong) about.unshift(wrong); // first: the rest may be cut off
  say(name.children[1], about.join(" · "));
  hint(name, about.join(" · "));
  showStrip(strip, service.servers);
  say(up.children[0], service.up);
  say(up.children[1], ` / ${service.servers.length}`);
  say(conns, short(service.active));
  draw(curve, store.curves.get(service.name) || []);
  element.setAttribute(
    "aria-label",
    `${service.protocol} ${service.where}, ${worded(service)}, ${service.up} of ${service.servers.length} servers up, ` +
      `${service.active === null ? "connections not known" : `${service.active} connections`}`,
  );
}

/** A cell for each server; of very many, cells stand for several and show the worst. */
function showStrip(strip, servers) {
  const cells = Math.min(servers.length, CELLS);
  while (strip.children.length > cells) strip.lastChild.remove();
  while (strip.children.length < cells) strip.append(h("i"));
  for (let cell = 0; cell < cells; cell++) {
    const from = Math.floor((cell * servers.length) / cells), to = Math.floor(((cell + 1) * servers.length) / cells);
    const [place, state, weight, active, why] = worst(servers, from, to), element = strip.children[cell];
    dress(element, MARKS[state]);
    const more = to - from > 1 ? `, the worst of ${to - from}` : "";
    hint(element, `${place} ${[state, why].filter(Boolean).join(", ")}${weight === null ? "" : `, weight ${weight}`}${active === null ? "" : `, ${active} connections`}${more}`);
  }
}

const RANK = { bad: 3, held: 2, warn: 1, ok: 0 };

function worst(servers, from, to) {
  let found = servers[from];
  for (let at = from + 1; at < to; at++) if (RANK[MARKS[servers[at][1]]] > RANK[MARKS[found[1]]]) found = servers[at];
  return found;
}
