/** Block Kit into nodes: the layout blocks of messages, modals and the Home tab. */

import { confirmed } from "./dialogs.js";
import { h } from "./dom.js";
import { fieldOf } from "./fields.js";
import { richText } from "./richtext.js";
import { link, mrkdwn, plainText, textObject } from "./words.js";

/**
 * One block. `use` has `click(block, element, chosen)`, which tells the playground, and `fields`, a list that input
 * blocks add themselves to.
 */
export function block(given, use) {
  const make = BLOCKS[given.type] ?? unknown;
  const node = make(given, use);
  node.dataset.block = given.type;
  return node;
}

export const isControl = (given) => given.type === "actions" || given.type === "context_actions";

const BLOCKS = {
  rich_text: (given) => h("div", { class: "rich-text" }, richText(given)),
  section,
  context: (given) => h("div", { class: "context" }, (given.elements ?? []).map(contextElement)),
  header: (given) => h("h3", { class: "header" }, plainText(given.text)),
  divider: () => h("hr"),
  actions: (given, use) => h(
    "div", { class: "actions" }, (given.elements ?? []).map((element) => control(element, given, use)),
  ),
  image: (given) => image(given, plainText(given.title)),
  input,
  table,
};

function section(given, use) {
  const fields = (given.fields ?? []).map((field) => h("div", { class: "field" }, textObject(field)));
  return h("div", { class: given.accessory ? "section with-accessory" : "section" },
    h(
      "div", { class: "section-words" }, textObject(given.text),
      fields.length ? h("div", { class: "field-grid" }, fields) : null,
    ),
    given.accessory ? control(given.accessory, given, use) : null);
}

function contextElement(element) {
  if (element.type === "image") return image(element, []);
  return h("div", { class: "context-item" }, textObject(element));
}

// Pictures are never fetched: the page's policy allows nothing from elsewhere, and their words say what they show.
const image = (given, title) =>
  h(
    "figure", { class: "image-stand-in", role: "img", "aria-label": given.alt_text || "Image" }, title,
    h("figcaption", {}, given.alt_text || "Image"),
  );

function table(given) {
  const cell = (tag) => (one) => h(
    tag, tag === "th" ? { scope: "col" } : {}, one.type === "rich_text" ? richText(one) : String(one.text ?? ""),
  );
  const [head = [], ...rows] = given.rows ?? [];
  return h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Table" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map(cell("th")))), h(
      "tbody", {}, rows.map((row) => h("tr", {}, row.map(cell("td")))),
    )));
}

function unknown(given) {
  const text = typeof given.text === "string" ? given.text : given.text?.text;
  return h(
    "div", { class: "unknown-block" }, h("span", { class: "unknown-label" }, `${given.type} block`),
    text ? h("div", { class: "words" }, text) : null,
  );
}

let labels = 0;

function input(given, use) {
  const field = fieldOf(given.element ?? {});
  const id = `field-${++labels}`;
  const hint = given.hint ? h("p", { class: "hint", id: `${id}-hint` }, plainText(given.hint)) : null;
  const fault = h("p", { class: "fault", id: `${id}-fault`, role: "alert" });
  const label = [plainText(given.label), given.optional ? h("span", { class: "optional" }, " (optional)") : null];
  const described = `${id}-fault${hint ? ` ${id}-hint` : ""}`;
  use.fields?.push({
    block_id: given.block_id, action_id: given.element?.action_id, optional: given.optional, fault, ...field,
  });
  if (field.isGroup) {
    return h(
      "fieldset", { class: "input", "aria-describedby": described }, h("legend", { class: "field-label" }, label),
      field.node, hint, fault,
    );
  }
  const target = field.target ?? field.node;
  target.id = id;
  target.setAttribute("aria-describedby", described);
  return h("div", { class: "input" }, h("label", { class: "field-label", for: id }, label), field.node, hint, fault);
}

/** An interactive element outside an input block: it tells the app at once. */
function control(element, given, use) {
  switch (element.type) {
    case "button":
      return button(element, given, use);
    case "overflow":
      return overflow(element, given, use);
    case "image":
      return image(element, []);
    default:
      return choice(element, given, use);
  }
}

function button(element, given, use) {
  const label = plainText(element.text);
  const shape = {
    class: "button", data: { style: element.style, action: element.action_id },
    "aria-label": element.accessibility_label,
  };
  if (element.url) {
    const anchor = link(element.url, "", h("span", {}, label));
    anchor.className = "button";
    anchor.addEventListener("click", () => use.click(given, element, { value: element.value }));
    return anchor;
  }
  const node = h("button", { type: "button", ...shape, on: { click: press } }, label);
  async function press() {
    if (node.getAttribute("aria-disabled") === "true" || !(await confirmed(element.confirm))) return;
    node.setAttribute("aria-disabled", "true"); // not `disabled`: the focus stays where it is
    await use.click(given, element, { value: element.value });
    node.removeAttribute("aria-disabled");
  }
  return node;
}

/** A menu of a few more things to do; the browser's own select keeps it usable with any device. */
function overflow(element, given, use) {
  const picker = { ...element, type: "static_select", placeholder: { type: "plain_text", text: "More…" } };
  return choice(picker, given, use, { ...element });
}

function choice(shown, given, use, element = shown) {
  const field = fieldOf(shown);
  if (!field.read) return h("div", { class: "unknown-block" }, `${shown.type} element`);
  (field.target ?? field.node).setAttribute("aria-label", shown.placeholder?.text ?? shown.action_id ?? "Choice");
  field.node.addEventListener("change", async () => {
    const { type: _, ...chosen } = field.read();
    const option = chosen.selected_option ?? chosen.selected_options?.at(-1);
    if (option && !(await confirmed(element.confirm))) return;
    use.click(given, element, { value: option?.value, chosen });
    if (element.type === "overflow") field.node.value = "";
  });
  return field.node;
}

/** The words of a message that has no blocks. */
export const words = (text) => h("div", { class: "rich-text", data: { block: "text" } }, mrkdwn(text));
