// Small things that every part of the page uses.

export const $ = (id) => document.getElementById(id);

/** An element: h("b", {class: "x", onclick: f, "aria-label": "y"}, "text", child, …). */
export function h(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Only what differs touches the document. */
export function say(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

export function dress(element, name) {
  if (element.className !== name) element.className = name;
}

/** What a mouse that rests there is told. */
export function hint(element, text) {
  if (element.title !== text) element.title = text;
}

/** What has the focus keeps it, when it is there again under the same `data-focus`. */
export function fill(element, children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  element.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
  if (focused) element.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

const numbers = new Intl.NumberFormat("en");
export const count = (value) => (value === null || value === undefined ? "–" : numbers.format(value));

/** 1234567 -> 1.23M, where room is short. */
export function short(value) {
  if (value === null || value === undefined) return "–";
  for (const [limit, unit] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (value >= limit) return (value / (unit === "k" ? 1e3 : limit)).toPrecision(3) + unit;
  }
  return numbers.format(value);
}

export function took(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toPrecision(seconds < 0.01 ? 2 : 3)} ms`;
  return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
}

export function age(seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export const many = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** The time of today, else with its day. */
export function when(at) {
  const date = new Date(at * 1000), two = (number) => String(number).padStart(2, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

export const clock = (at) => new Date(at * 1000).toTimeString().slice(0, 8);

let toasting;
export function toast(text) {
  const place = $("toast");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(toasting);
  toasting = setTimeout(() => place.classList.remove("shown"), 5000);
}
