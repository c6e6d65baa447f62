// Thousands of rows, of which only those in sight exist.

import { h } from "./dom.js";

const SPARE = 6; // rows beyond either edge

export class VirtualList {
  /** `make()` gives an empty row's element, `show(element, item)` puts an item into it; `key(item)` is
   *  its identity, `pick(item)` is called when somebody chooses it. */
  constructor(place, { make, show, key, pick }) {
    Object.assign(this, { place, make, show, key, pick, items: [], here: 0, chosen: null, rows: new Map(), free: [] });
    document.addEventListener("scroll", () => this.soon(), { capture: true, passive: true });
    addEventListener("resize", () => this.soon());
    place.addEventListener("keydown", (event) => this.pressed(event));
    place.addEventListener("click", (event) => this.clicked(event));
  }

  set(items) {
    const stays = this.items[this.here] && this.key(this.items[this.here]);
    this.items = items;
    const place = stays === undefined ? -1 : items.findIndex((item) => this.key(item) === stays);
    this.here = Math.max(0, place >= 0 ? place : Math.min(this.here, items.length - 1));
    this.draw();
  }

  choose(key) {
    this.chosen = key;
    this.draw();
  }

  soon() {
    if (!this.waiting) this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.draw(); });
  }

  get height() {
    return parseFloat(getComputedStyle(this.place).getPropertyValue("--row")) || 46;
  }

  draw() {
    const height = this.height, box = this.place.getBoundingClientRect();
    this.place.style.height = `${this.items.length * height}px`;
    const first = Math.max(0, Math.floor(-box.top / height) - SPARE);
    const last = Math.min(this.items.length, Math.ceil((innerHeight - box.top) / height) + SPARE);
    for (const [at, element] of this.rows) {
      if ((at < first || at >= last) && at !== this.here) this.drop(at, element);
    }
    for (let at = first; at < last; at++) this.put(at, height);
    if (this.items.length) this.put(this.here, height);
    const active = this.rows.get(this.here);
    if (active) this.place.setAttribute("aria-activedescendant", active.id);
    else this.place.removeAttribute("aria-activedescendant");
  }

  drop(at, element) {
    element.remove();
    this.rows.delete(at);
    this.free.push(element);
  }

  put(at, height) {
    if (at >= this.items.length) return;
    let element = this.rows.get(at);
    if (!element) {
      element = this.free.pop() || this.make();
      element.id = `row-${at}`;
      this.rows.set(at, element);
      this.place.append(element);
    }
    const item = this.items[at];
    element.style.transform = `translateY(${at * height}px)`;
    element.classList.toggle("here", at === this.here);
    element.setAttribute("aria-selected", String(this.key(item) === this.chosen));
    element.setAttribute("aria-setsize", this.items.length);
    element.setAttribute("aria-posinset", at + 1);
    this.show(element, item);
  }

  clicked(event) {
    const element = event.target.closest("[role=option]");
    for (const [at, each] of this.rows) {
      if (each === element) {
        this.here = at;
        this.pick(this.items[at]);
      }
    }
  }

  pressed(event) {
    const page = Math.max(1, Math.floor(this.place.parentElement.clientHeight / this.height) - 1);
    const moves = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) this.go(this.here + moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") {
      if (this.items[this.here]) this.pick(this.items[this.here]);
    } else return;
    event.preventDefault();
  }

  go(at) {
    this.here = Math.min(Math.max(at, 0), Math.max(0, this.items.length - 1));
    this.draw();
    const element = this.rows.get(this.here);
    if (element) element.scrollIntoView({ block: "nearest" });
  }
}

export const option = (...children) => h("div", { class: "row", role: "option" }, ...children);
