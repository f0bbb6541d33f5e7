/** One message: who, when, what, its reactions, its thread. */

import { act, openThread, toggle } from "./actions.js";
import { block, isControl, words } from "./blocks.js";
import { h, icon } from "./dom.js";
import { emoji, spoken } from "./emoji.js";
import { face, fullName } from "./people.js";
import { isBots, isReply, isTombstone, payload, statusOf, store } from "./store.js";
import { pick } from "./toolbar.js";
import { spokenText } from "./words.js";

export const timeOf = (ts) => new Date(Number(ts) * 1000);
export const clock = (ts) => timeOf(ts).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });

/** The list item of a message; `follows` means that it stands under another one of its author.
 *  `review`: how the text that it is a part of stands, where it waits for reviewers. Nothing of the message changes. */
export function messageItem(message, { follows, inThread, review }) {
  const { kind, state, stage } = payload(message);
  const quiet = isTombstone(message);
  const parts = quiet ? h("p", { class: "tombstone" }, "This message was deleted.") : content(message, kind);
  return h("li", {
    class: "message", tabindex: -1, "aria-label": spokenLine(message),
    data: {
      ts: message.ts, kind, state, stage, follows: follows || undefined, ephemeral: message.is_ephemeral || undefined,
      bot: isBots(message) || undefined, review,
    },
  },
  h("div", { class: "gutter" }, follows ? moment(message, "late") : face(author(message))),
  h("div", { class: "body" },
    message.is_ephemeral ? h("p", { class: "private-note" }, icon("eye"), "Only you can see this") : null,
    follows ? null : head(message),
    parts,
    review === "approved" && !quiet ? h("p", { class: "approved-mark" }, "Approved text") : null,
    files(message),
    reactions(message),
    inThread || quiet && !message.reply_count ? null : summary(message)),
  quiet ? null : h(
    "button", { class: "touch-more", type: "button", "aria-label": "Show actions", data: { touch: "" } }, icon("more"),
  ));
}

function spokenLine(message) {
  const text = spokenText(message.text ?? "");
  return `${fullName(author(message))}, ${clock(message.ts)}: ${text.length > 160 ? `${text.slice(0, 160)}…` : text}`;
}

function head(message) {
  return h("div", { class: "message-head" },
    h("span", { class: "author" }, fullName(author(message))),
    isBots(message) ? h("span", { class: "badge" }, "app") : null,
    moment(message));
}

function moment(message, more = "") {
  const when = timeOf(message.ts);
  return h(
    "time", { class: `time ${more}`, datetime: when.toISOString(), title: when.toLocaleString() }, clock(message.ts),
  );
}

// A card is edited while its run goes on, which is worth a word; other edits are a person's own.
const EDITED = new Set(["card", "review"]);

function edited(message, kind) {
  if (!message.edited || (isBots(message) && !EDITED.has(kind))) return null;
  return h(
    "span", { class: "edited", title: timeOf(message.edited.ts).toLocaleString() },
    isBots(message) ? "updated" : "(edited)",
  );
}

function content(message, kind) {
  const use = { click: (given, element, chosen) => act(
    "click",
    { channel: message.channel, ts: message.ts, block_id: given.block_id, action_id: element.action_id, ...chosen },
  ) };
  if (!message.blocks?.length && !message.text && message.files?.length) return null;
  const groups = message.blocks?.length ? grouped(message.blocks, kind, use) : [said(
    kind, [words(message.text ?? "")],
  )];
  const mark = edited(message, kind);
  const last = groups.findLast((group) => group.classList.contains("said")) ?? groups.at(-1);
  if (mark) endOf(last).append(mark);
  return h("div", { class: "blocks" }, groups);
}

/** Where something may be added to a group's last line; the group itself where it ends in no line of words. */
function endOf(group) {
  const block = group.lastElementChild;
  if (block.matches('.context, [data-block="text"]')) return block;
  const words = block.matches(".section") ? block.querySelector(".section-words").lastElementChild : block.lastElementChild;
  return words?.matches("div.words") ? words : group;
}

const said = (kind, nodes) => h("div", { class: "said", data: { kind } }, nodes);

/** Neighbouring blocks of one sort together. In an answer only the rich text is the model's, not the app's words. */
function grouped(blocks, kind, use) {
  const models = kind === "answer" || kind === "notes";
  const sortOf = (one) => (isControl(one) ? null : models && one.type !== "rich_text" ? "aside" : kind ?? "");
  const groups = [];
  for (const one of blocks) {
    const sort = sortOf(one);
    const last = groups.at(-1);
    if (sort !== null && last?.sort === sort) last.nodes.push(block(one, use));
    else groups.push({ sort, nodes: [block(one, use)] });
  }
  return groups.flatMap(({ sort, nodes }) => (sort === null ? nodes : [said(sort || undefined, nodes)]));
}

function files(message) {
  return (message.files ?? []).map((file) => h(
    "a", { class: "file", href: `/playground/files/${encodeURIComponent(file.id)}`, download: file.name },
    icon("down"),
    h("span", { class: "file-words" },
      h("span", { class: "file-name" }, file.name),
      h("span", { class: "file-title" }, `${file.title} · ${file.size.toLocaleString()} bytes`)),
  ));
}

function reactions(message) {
  if (!message.reactions?.length) return null;
  const add = h(
    "button",
    {
      class: "reaction add", type: "button", "aria-label": "Add a reaction", "aria-haspopup": "menu",
      data: { key: "add" }, on: { click: (event) => pick(message, event.currentTarget) },
    },
    icon("smile"),
  );
  return h(
    "div", { class: "reactions", role: "group", "aria-label": "Reactions" },
    message.reactions.map((one) => reaction(message, one)), add,
  );
}

function reaction(message, { name, users, count }) {
  const own = users.includes(store.me);
  const who = users.map((id) => (id === store.me ? "you" : fullName(id))).join(", ");
  return h("button", {
    class: "reaction", type: "button", "aria-pressed": String(own),
    "aria-label": `${spoken(name)}, ${count}, by ${who}`, title: `${who} reacted with :${name}:`,
    data: { key: `reaction ${name}`, reaction: name }, on: { click: () => toggle(message, name) },
  }, emoji(name), h("span", { class: "count" }, count));
}

function summary(message) {
  const status = statusOf(message.channel, message.ts);
  if (!message.reply_count && !status) return null;
  if (isReply(message)) return null;
  const count = message.reply_count ?? 0;
  const words = count === 1 ? "1 reply" : `${count} replies`;
  return h("button", {
    class: "thread-link", type: "button", data: { key: "thread" }, on: { click: () => openThread(message) },
  },
    h(
      "span", { class: "faces", "aria-hidden": "true" },
      (message.reply_users ?? []).slice(0, 4).map((id) => face(id, "tiny")),
    ),
    h("span", { class: "reply-count" }, words),
    status ? statusLine(statusWords(status)) : h(
      "span", { class: "quiet" }, message.latest_reply ? `last ${clock(message.latest_reply)}` : "",
    ));
}

/** The app's status, with its three quiet dots. */
export const statusLine = (text) =>
  h("span", { class: "status" }, h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")), text);

/** setStatus carries "is drafting…"; the name goes in front, as Slack does it. */
export function statusWords(text) {
  const name = store.state?.bot.name ?? "";
  return text.toLowerCase().startsWith(name.toLowerCase()) ? text : `${name} ${text}`;
}

export const author = (message) => message.user || message.bot_id;
