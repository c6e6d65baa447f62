// What is known of the daemon, and how it was in the last minutes.

export const POINTS = 40; // of a curve of connections

export const store = {
  services: [], byName: new Map(), summary: null, announcer: null, at: 0,
  role: "read-only", caller: "", events: [],
  total: [], curves: new Map(),
};

/** Takes an answer of /v1/overview. */
export function take(overview) {
  store.at = overview.at;
  store.summary = overview.summary;
  store.announcer = overview.announcer;
  store.services = overview.overview.map((row, place) => ({ ...row, place, ...judged(row), where: whereOf(row) }));
  const before = store.curves;
  store.byName = new Map(store.services.map((service) => [service.name, service]));
  store.curves = new Map(store.services.map((each) => [each.name, longer(before.get(each.name) || [], each.active)]));
  store.total = longer(store.total, store.services.reduce((sum, each) => sum + (each.active || 0), 0));
}

export function longer(curve, value) {
  curve.push(value);
  if (curve.length > POINTS) curve.shift();
  return curve;
}

export const HELD = new Set(["drained", "disabled"]);
/** The shape and colour of each state of a server. */
export const MARKS = { up: "ok", down: "bad", kept: "bad", suppressed: "warn", waiting: "warn", drained: "held", disabled: "held" };

/** state is one of: ok, warn (not all serve), bad (nobody serves), off (suspended), held (operators). */
function judged(row) {
  const states = row.servers.map((server) => server[1]);
  const up = states.filter((state) => state === "up").length;
  const held = states.filter((state) => HELD.has(state)).length;
  const known = row.servers.filter((server) => server[3] !== null);
  const active = known.length ? known.reduce((sum, server) => sum + server[3], 0) : null;
  const wrong = states.some((each) => each === "down" || each === "kept" || each === "suppressed");
  // Operators may take away, or weigh with 0, what the quorum still counts.
  const deserted = row.quorum_up && states.length > 0 && !row.servers.some((server) => server[2] > 0);
  const state = row.suspended ? "off" : !row.quorum_up || deserted ? "bad" : wrong ? "warn" : held ? "held" : "ok";
  return { state, up, held, deserted, down: states.filter((each) => each === "down").length, active };
}

function whereOf(row) {
  if (row.address !== undefined) return row.address.includes(":") ? `[${row.address}]:${row.port}` : `${row.address}:${row.port}`;
  return row.fwmark !== undefined ? `fwmark ${row.fwmark}` : `group ${row.group}`;
}

export const WORDS = { ok: "up", warn: "degraded", bad: "no quorum", off: "suspended", held: "drained" };

/** In the words of the state, for people and for screen readers. */
export function worded(service) {
  const sorry = service.sorry_server && service.sorry_server.in_use ? ", sorry server serves" : "";
  return (service.deserted ? "nobody gets connections" : WORDS[service.state]) + sorry;
}

const SHORT = { kept: "held in", suppressed: "kept out" };

/** Of servers that are not simply up, how many are how: "1 down, 2 drained". */
export function counts(servers) {
  const found = new Map();
  for (const [, state] of servers) if (state !== "up") found.set(state, (found.get(state) || 0) + 1);
  return [...found].map(([state, number]) => `${number} ${SHORT[state] || state}`).join(", ");
}

const TESTS = {
  all: () => true,
  trouble: (service) => service.state === "warn" || service.state === "bad",
  held: (service) => service.held > 0,
};
const RANK = { bad: 0, warn: 1, held: 2, off: 3, ok: 4 };
const ORDERS = {
  config: (a, b) => a.place - b.place,
  trouble: (a, b) => RANK[a.state] - RANK[b.state] || b.down - a.down || a.place - b.place,
  connections: (a, b) => (b.active || 0) - (a.active || 0) || a.place - b.place,
  name: (a, b) => a.where.localeCompare(b.where, "en", { numeric: true }),
};

export function chosen(filter, sort, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = store.services.filter((service) => TESTS[filter](service) && wanted.every((word) => has(service, word)));
  return sort === "config" ? found : found.sort(ORDERS[sort]);
}

export const counted = (filter) => store.services.reduce((sum, service) => sum + (TESTS[filter](service) ? 1 : 0), 0);

function has(service, word) {
  return (
    service.name.toLowerCase().includes(word) || service.where.toLowerCase().includes(word) ||
    service.servers.some((server) => server[0].toLowerCase().includes(word))
  );
}
