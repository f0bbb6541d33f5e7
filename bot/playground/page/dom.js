/** Builds elements. Text always becomes a text node, so nothing in a message is ever read as markup. */

const SVG = "http://www.w3.org/2000/svg";

/** h("p", {class: "quiet", on: {click}}, "text", child, …) */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) set(node, name, value);
  node.append(...present(children));
  return node;
}

function present(children) {
  return children.flat(Infinity).filter((child) => ![null, undefined, false, ""].includes(child));
}

function set(node, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name === "class") node.className = value;
  else if (name === "on") for (const [type, heard] of Object.entries(value)) node.addEventListener(type, heard);
  else if (name === "data") for (const [key, datum] of Object.entries(value)) setDatum(node, key, datum);
  // Through the CSSOM: the page's policy forbids style attributes.
  else if (name === "colour") node.style.setProperty("--colour", value);
  else node.setAttribute(name, value === true ? "" : String(value));
}

function setDatum(node, key, datum) {
  if (datum !== undefined && datum !== null) node.dataset[key] = datum;
}

/** Puts new children into a node, unless they are the ones already there. */
export function fill(node, ...children) {
  node.replaceChildren(...present(children));
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

const ICONS = {
  hash: "M7.5 3 6 17M14 3l-1.500 14M3.500 7.500h13.500M3 12.500h13.500",
  lock: "M5.500 9h9v7.500h-9zM7.300 9V6.500a2.700 2.700 0 0 1 5.400 0V9",
  home: "M3.500 9.500 10 4l6.500 5.500V16h-4.500v-4h-4v4H3.500z",
  reply: "M4 4.500h12v8.500H9.500L6 16v-3H4z",
  smile: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14M7.400 8.300v.01M12.600 8.300v.01M7 11.700c1.500 2 4.500 2 6 0",
  more: "M5 10h.01M10 10h.01M15 10h.01",
  close: "m5 5 10 10M15 5 5 15",
  back: "M12 4.500 6.500 10l5.500 5.500",
  send: "m3.500 16.500 13-6.500-13-6.500 1.800 6.500zM5.300 10H11",
  down: "M10 4v11M5 10.500l5 5 5-5",
  chevron: "m6 8 4 4 4-4",
  copy: "M7.500 7.500h8.500V16H7.500zM4 12.500V4h8.500",
  link: "M8.500 11.500l3-3M9 6.500l1.500-1.500a3.200 3.200 0 0 1 4.500 4.500L13.500 11M11 13.500 9.500 15A3.200 3.200 0 0 1 5 10.500L6.500 9",
  spark: "M10 3.500 11.600 8.400 16.500 10l-4.900 1.600L10 16.500l-1.600-4.900L3.500 10l4.900-1.600z",
  eye: "M2.500 10S5 5 10 5s7.500 5 7.500 5-2.500 5-7.500 5-7.500-5-7.500-5M10 8a2 2 0 1 0 0 4 2 2 0 0 0 0-4",
  check: "m4.500 10.500 3.500 3.500 7.500-8",
  undo: "M7.500 5 4 8.500 7.500 12M4 8.500h7.500a4 4 0 0 1 0 8H8",
  help: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14M8 8a2 2 0 1 1 2.700 1.900c-.5.200-.7.600-.7 1.300M10 13.800v.01",
  trash: "M4 6h12M8 6V4h4v2M5.500 6l.7 10h7.600l.7-10",
};

/** A line drawing, 20 by 20, in the colour of the text around it. */
export function icon(name) {
  const path = svg("path", {
    d: ICONS[name], fill: "none", stroke: "currentColor", "stroke-width": name === "more" ? 2.4 : 1.6,
    "stroke-linecap": "round", "stroke-linejoin": "round",
  });
  return svg("svg", { viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true" }, path);
}
