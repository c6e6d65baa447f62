// Small curves.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 100, HEIGHT = 24;

const node = (name, about) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(about)) element.setAttribute(key, value);
  return element;
};

/** An empty curve; `draw` gives it values. */
export function spark(label = "") {
  const svg = node("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" });
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else svg.setAttribute("aria-hidden", "true");
  svg.append(node("path", { class: "area" }), node("path", { class: "line" }), node("path", { class: "miss" }));
  return svg;
}

/** Values from the oldest to the newest; null is a gap. `misses` are places that get a red tick. */
export function draw(svg, values, misses = []) {
  const [area, line, miss] = svg.children;
  const known = values.filter((value) => value !== null && value !== undefined);
  const top = Math.max(...known, 0) || 1;
  const x = (place) => (values.length < 2 ? 0 : (place * WIDTH) / (values.length - 1));
  const y = (value) => HEIGHT - 2 - (value / top) * (HEIGHT - 5);
  const points = values.map((value, place) => (value === null || value === undefined ? null : [x(place), y(value)]));
  set(line, path(points));
  set(area, known.length > 1 ? areaOf(points.filter(Boolean)) : "");
  set(miss, misses.map((place) => `M${x(place).toFixed(1)} ${HEIGHT - 7}V${HEIGHT}`).join(""));
}

function set(element, d) {
  if (element.getAttribute("d") !== d) element.setAttribute("d", d);
}

function path(points) {
  let pen = "M";
  let text = "";
  for (const point of points) {
    if (point === null) pen = "M";
    else {
      text += `${pen}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
      pen = "L";
    }
  }
  return text;
}

function areaOf(points) {
  const first = points[0], last = points[points.length - 1];
  return `${path(points)}L${last[0].toFixed(1)} ${HEIGHT}L${first[0].toFixed(1)} ${HEIGHT}Z`;
}
