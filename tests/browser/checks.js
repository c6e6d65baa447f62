// What a look at the page finds wrong; put into it by the tests.

/** Text whose contrast with what is behind it is below 4.5 (WCAG 2.1, level AA). */
function illegible() {
  const parse = (text) => {
    const parts = text.match(/[\d.]+/g).map(Number);
    return parts.length < 4 ? [...parts, 1] : parts;
  };
  const linear = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = ([red, green, blue]) =>
    0.2126 * linear(red / 255) + 0.7152 * linear(green / 255) + 0.0722 * linear(blue / 255);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const ratio = (element) => {
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const speaks = (element) =>
    element.getClientRects().length && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  return [...document.querySelectorAll("main *, .bar *, .tiles *")].filter(speaks)
    .filter((element) => ratio(element) < 4.5)
    .map((element) => `${element.className} ${element.textContent} ${ratio(element).toFixed(2)}`);
}

/** Parts of the bar that lie on each other. */
function overlapping() {
  const boxes = [...document.querySelectorAll(".bar h1, .find, #who, #link")]
    .map((element) => [element.id || element.className || element.tagName, element.getBoundingClientRect()])
    .filter(([, box]) => box.width);
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return boxes.flatMap(([name, box], at) =>
    boxes.slice(at + 1).filter(([, other]) => meet(box, other)).map(([other]) => `${name} and ${other}`));
}

/** What can be pressed and has no name. */
function nameless() {
  const named = (element) =>
    element.innerText || element.getAttribute("aria-label") || element.getAttribute("aria-labelledby") ||
    element.labels?.length;
  return [...document.querySelectorAll("button, input, select, [role=option], [role=listbox], [role=img]")]
    .filter((element) => element.getClientRects().length && !named(element))
    .map((element) => element.outerHTML.slice(0, 120));
}
