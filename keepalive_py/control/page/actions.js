// What operators do: drain, undrain, check now.

import { $, toast } from "./dom.js";
import { ask } from "./api.js";

let meant = null; // what the open dialog is about

/** `done` is called after something was changed. */
export function makeActions(done) {
  const dialog = $("dialog");
  $("dialog-cancel").addEventListener("click", () => dialog.close());
  $("dialog-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    $("dialog-go").disabled = true;
    try {
      await drain(meant);
      dialog.close();
      done();
    } catch (error) {
      $("dialog-trouble").textContent = error.message;
      $("dialog-trouble").hidden = false;
    } finally {
      $("dialog-go").disabled = false;
    }
  });
  return async (what, service, server, place) => {
    if (what === "drain") return open(service, server, place);
    if (what === "drain node") return openNode();
    if (what === "drain address") return openAddress(place);
    try {
      if (what === "undrain node") await undrainNode();
      else if (what === "undrain address") await undrainAddress(place);
      else if (what === "undrain") await undrain(server, place);
      else await check(service, server, place);
      done();
    } catch (error) {
      toast(error.message);
    }
  };
}

function open(service, server, place) {
  meant = { service, server, place };
  $("dialog-service").textContent = service.name;
  $("dialog-scope").hidden = false;
  show(`Drain ${place}`, "It gets no new connections; those it has go on. Its checks go on, too.");
}

function openNode() {
  meant = { node: true };
  $("dialog-scope").hidden = true;
  show("Drain this node", "All its addresses are drained and then withdrawn: other nodes take over. Its table stays.");
}

function openAddress(place) {
  meant = { vip: place, place };
  $("dialog-scope").hidden = true;
  show(`Drain ${place}`, "It is withdrawn: other nodes take it over. Its services and their servers stay in the table.");
}

function show(title, text) {
  $("dialog-title").textContent = title;
  $("dialog-text").textContent = text;
  $("dialog-reason").value = "";
  $("dialog-trouble").hidden = true;
  $("dialog").showModal();
  $("dialog-reason").focus();
}

async function drain({ service, place, node, vip }) {
  const scope = document.querySelector("input[name=scope]:checked").value;
  const seconds = $("dialog-for").value;
  const whom = node ? { node } : vip ? { vip } : { server: place, ...(scope === "service" ? { service: service.name } : {}) };
  await ask("POST", "/v1/overrides", {
    action: "drain", ...whom, reason: $("dialog-reason").value.trim(), ...(seconds ? { seconds: Number(seconds) } : {}),
  });
  toast(`${node ? "This node" : place} is draining.`);
}

async function undrainNode() {
  await ask("DELETE", "/v1/overrides?node=true");
  toast("This node takes its addresses back.");
}

async function undrainAddress(vip) {
  await ask("DELETE", `/v1/overrides?${new URLSearchParams({ vip })}`);
  toast(`${vip} is announced again when its services are fit.`);
}

async function undrain(server, place) {
  const { server: whom, service } = server.override;
  await ask("DELETE", `/v1/overrides?${new URLSearchParams({ server: whom, ...(service ? { service } : {}) })}`);
  toast(`${place} takes connections again.`);
}

async function check(service, server, place) {
  const { started } = await ask("POST", "/v1/checks/run", { service: service.name, server: server.name });
  toast(`${started} ${started === 1 ? "check" : "checks"} of ${place} started.`);
}
