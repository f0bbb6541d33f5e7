/** rich_text blocks, as Slack shows them. */

import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { broadcastPill, channelPill, groupPill, link, plain, userPill } from "./words.js";

/** The nodes of one rich_text block. */
export function richText(block) {
  const nodes = [];
  const lists = new Lists(nodes);
  for (const element of block.elements ?? []) {
    if (element.type === "rich_text_list") lists.add(element);
    else {
      lists.end();
      nodes.push(part(element));
    }
  }
  return nodes;
}

function part(element) {
  const inside = (element.elements ?? []).map(leaf);
  switch (element.type) {
    case "rich_text_section":
      return h("div", { class: "words" }, inside);
    case "rich_text_quote":
      return h("blockquote", { class: "words" }, inside);
    case "rich_text_preformatted":
      return h("pre", { tabindex: 0, "aria-label": element.language ? `Code, ${element.language}` : "Code" }, inside);
    default:
      return h("div", { class: "unknown-block" }, element.type);
  }
}

function leaf(element) {
  return dressed(bare(element), element.style ?? {});
}

function bare(element) {
  switch (element.type) {
    case "text":
      return plain(element.text ?? "");
    case "link":
      return link(element.url ?? "", element.text ?? "");
    case "user":
      return userPill(element.user_id);
    case "usergroup":
      return groupPill(element.usergroup_id);
    case "channel":
      return channelPill(element.channel_id);
    case "broadcast":
      return broadcastPill(element.range);
    case "emoji":
      return emoji(element.skin_tone ? `${element.name}::skin-tone-${element.skin_tone}` : element.name);
    case "color":
      return h("code", {}, element.value);
    case "date":
      return element.fallback ?? new Date(element.timestamp * 1000).toLocaleString();
    default:
      return h("span", { class: "unknown-block" }, element.type);
  }
}

const STYLES = [["code", "code"], ["strike", "s"], ["italic", "em"], ["bold", "strong"], ["underline", "u"]];

function dressed(content, style) {
  return STYLES.filter(([name]) => style[name]).reduce((inside, [, tag]) => h(tag, {}, inside), content);
}

/** Slack's lists stand side by side with an indent each; here the deeper one moves into the item above it. */
class Lists {
  constructor(nodes) {
    this.nodes = nodes;
    this.open = []; // [{list, indent, style}] from the outermost
  }

  end() {
    this.open = [];
  }

  add({ elements = [], style = "bullet", indent = 0, offset = 0, border }) {
    while (this.open.length && this.open.at(-1).indent > indent) this.open.pop();
    const last = this.open.at(-1);
    const items = elements.map((item) => h(
      "li", {}, item.type === "rich_text_section" ? (item.elements ?? []).map(leaf) : part(item),
    ));
    const goesOn = style !== "ordered" || offset === last?.list.childElementCount + last?.from;
    if (last?.indent === indent && last.style === style && goesOn) {
      last.list.append(...items);
      return;
    }
    if (last?.indent === indent) this.open.pop();
    this.#begin({ items, style, indent, offset, border });
  }

  #begin({ items, style, indent, offset, border }) {
    const outer = this.open.at(-1);
    const props = {
      data: { depth: indent % 3 }, class: border ? "bordered" : "",
      start: style === "ordered" && offset ? offset + 1 : undefined,
    };
    const list = h(style === "ordered" ? "ol" : "ul", props, items);
    if (outer) outer.list.lastElementChild.append(list);
    else {
      if (indent) list.classList.add(`indent-${Math.min(indent, 6)}`);
      this.nodes.push(list);
    }
    this.open.push({ list, indent, style, from: offset });
  }
}
