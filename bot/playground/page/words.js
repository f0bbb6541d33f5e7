/** Text into nodes: emoji, tokens in angle brackets, and Slack's mrkdwn. */

import { h } from "./dom.js";
import { CHARACTERS, emoji, isKnown, nameOf } from "./emoji.js";
import { channelName, handle } from "./store.js";

export const decoded = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

/** Plain text, with the emoji characters in it drawn. */
export function plain(text) {
  const nodes = [];
  let rest = text;
  for (let found = CHARACTERS.exec(rest); found; found = CHARACTERS.exec(rest)) {
    nodes.push(rest.slice(0, found.index), emoji(nameOf(found[0])));
    rest = rest.slice(found.index + found[0].length).replace(/^\ufe0f/u, "");
  }
  return [...nodes, rest];
}

/** plain_text objects: `:name:` is an emoji unless the object says otherwise. */
export function plainText(object) {
  if (!object) return [];
  const text = String(object.text ?? object);
  return object.emoji === false ? plain(text) : withEmojiNames(text);
}

function withEmojiNames(text) {
  return text.split(/(:[a-z0-9_+-]+(?:::skin-tone-[2-6])?:)/).flatMap((piece, at) =>
    at % 2 && isKnown(piece.slice(1, -1)) ? [emoji(piece.slice(1, -1))] : plain(piece));
}

/** A link if the address is one a browser may follow, else its words alone. */
export function link(url, label, ...inside) {
  const words = inside.length ? inside : plain(label || url);
  if (!/^(https?:|mailto:|tel:)/i.test(url)) return h("span", { class: "dead-link" }, words);
  return h(
    "a", { href: url, target: "_blank", rel: "noreferrer", title: label && label !== url ? url : undefined }, words,
  );
}

export const userPill = (id) => h("span", { class: "pill pill-user", data: { user: id } }, `@${handle(id)}`);
export const channelPill = (id, label) => h("span", { class: "pill" }, `#${label || channelName(id)}`);
export const groupPill = (id, label) => h("span", { class: "pill" }, label || `@${id}`);
export const broadcastPill = (range) => h("span", { class: "pill pill-loud" }, `@${range}`);

function token(inside) {
  const [target, label = ""] = inside.split(/\|(.*)/s);
  if (target.startsWith("@")) return userPill(target.slice(1));
  if (target.startsWith("#")) return channelPill(target.slice(1), label);
  if (target.startsWith("!subteam^")) return groupPill(target.slice(9), decoded(label));
  if (target.startsWith("!date^")) return dated(target, decoded(label));
  if (target.startsWith("!")) return broadcastPill(target.slice(1));
  return link(decoded(target), decoded(label));
}

const DATES = {
  date_num: {
    year: "numeric", month: "2-digit", day: "2-digit",
  }, date: { year: "numeric", month: "long", day: "numeric" },
  date_short: { year: "numeric", month: "short", day: "numeric" }, date_long: {
    weekday: "long", year: "numeric", month: "long", day: "numeric",
  },
  time: { hour: "2-digit", minute: "2-digit" }, time_secs: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
};

function dated(target, fallback) {
  const [, seconds, pattern = "", url] = target.split("^");
  const when = new Date(Number(seconds) * 1000);
  if (Number.isNaN(when.getTime())) return fallback;
  const words = pattern.replace(/\{(\w+?)(?:_pretty)?\}/g, (whole, name) =>
    name in DATES ? when.toLocaleString(undefined, DATES[name]) : whole);
  const time = h("time", { datetime: when.toISOString(), title: fallback }, words || fallback);
  return url ? link(url, "", time) : time;
}

// In the order they are tried: code holds no styles, a token holds no styles, then the styles hold each other.
const INLINE = new RegExp([
  "`([^`\\n]+)`", "<([^<>\\n]+)>", ":([a-z0-9_+-]+(?:::skin-tone-[2-6])?):",
  "(?<![\\w*])\\*(?=\\S)([^*\\n]*[^*\\s])\\*(?![\\w*])", "(?<![\\w])_(?=\\S)([^_\\n]*[^_\\s])_(?![\\w])",
  "(?<![\\w~])~(?=\\S)([^~\\n]*[^~\\s])~(?![\\w~])",
].join("|"), "g");

/** One run of mrkdwn without block structure. */
export function inline(text) {
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(...plain(decoded(text.slice(at, found.index))), styled(found));
    at = found.index + found[0].length;
  }
  return [...nodes, ...plain(decoded(text.slice(at)))];
}

function styled([whole, code, inside, name, bold, italic, strike]) {
  if (code) return h("code", {}, decoded(code));
  if (inside) return token(inside);
  if (name) return isKnown(name) ? emoji(name) : whole;
  if (bold) return h("strong", {}, inline(bold));
  if (italic) return h("em", {}, inline(italic));
  return h("s", {}, inline(strike));
}

/** mrkdwn with its fences and quotes: a list of block nodes. */
export function mrkdwn(text) {
  return text.split(/```\n?([\s\S]+?)```\n?/).flatMap((piece, at) => {
    if (at % 2) return [h("pre", { tabindex: 0, "aria-label": "Code" }, decoded(piece.replace(/\n$/, "")))];
    return piece ? paragraphs(piece) : [];
  });
}

function paragraphs(text) {
  const groups = [];
  for (const line of text.split("\n")) {
    const quoted = /^(?:&gt;|>) ?(.*)$/.exec(line);
    const last = groups.at(-1);
    if (last && last.quote === Boolean(quoted)) last.lines.push(quoted ? quoted[1] : line);
    else groups.push({ quote: Boolean(quoted), lines: [quoted ? quoted[1] : line] });
  }
  return groups.map(({ quote, lines }) => h(
    quote ? "blockquote" : "div", { class: "words" }, inline(lines.join("\n")),
  ));
}

/** A text object of either kind. */
export function textObject(object) {
  if (!object) return [];
  return object.type === "mrkdwn" ? mrkdwn(object.text ?? "") : [h("div", { class: "words" }, plainText(object))];
}

/** The words of a message for people who hear it, or paste it. */
export function spokenText(text) {
  return decoded(text.replace(/<@(\w+)(?:\|[^>]*)?>/g, (whole, id) => `@${handle(id)}`)
    .replace(/<#(\w+)(?:\|([^>]*))?>/g, (whole, id, label) => `#${label || channelName(id)}`)
    .replace(
      /<!(?:subteam\^\w+\|)?([^>|]+)(?:\|[^>]*)?>/g, "$1",
    ).replace(/<([^>|]+)\|([^>]+)>/g, "$2").replace(/<([^>]+)>/g, "$1"));
}
