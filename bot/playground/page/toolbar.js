/** What can be done with a message: quick verdicts, other emoji, a reply, the app's shortcuts, copying. */

import { copy, mine, openThread, permalink, remove, runShortcut, toggle } from "./actions.js";
import { h, icon } from "./dom.js";
import { PICKER, emoji, spoken } from "./emoji.js";
import { menuItem, openPopup } from "./popup.js";
import { store } from "./store.js";

const QUICK = ["white_check_mark", "x"];

/** The toolbar of a message. It hides itself until the message is pointed at, focused or pressed long. */
export function toolbar(message, inThread) {
  const closed = message.is_ephemeral;
  return h("div", { class: "toolbar", role: "toolbar", "aria-label": "Message actions" },
    closed ? null : QUICK.map((name) => quick(message, name)),
    closed ? null : tool(
      "smile", "Choose a reaction", (event) => pick(message, event.currentTarget), { "aria-haspopup": "menu" },
    ),
    closed || inThread ? null : tool("reply", "Reply in thread", () => openThread(message)),
    closed ? null : (store.state.shortcuts ?? []).map((shortcut) => named(message, shortcut)),
    tool("more", "More", (event) => more(message, event.currentTarget), { "aria-haspopup": "menu" }));
}

const tool = (picture, label, click, extra = {}) =>
  h(
    "button",
    {
      class: "tool", type: "button", "aria-label": label, title: label, data: { key: `tool ${label}` }, ...extra,
      on: { click },
    },
    icon(picture),
  );

function quick(message, name) {
  const label = `${mine(message, name) ? "Take back" : "React with"} ${spoken(name)}`;
  return h("button", {
    class: "tool", type: "button", "aria-label": label, title: label, "aria-pressed": String(mine(
      message, name,
    )), data: { key: `tool ${name}`, react: name },
    on: { click: () => toggle(message, name) },
  }, emoji(name));
}

const named = (message, { callback_id: callback, name }) =>
  h(
    "button",
    {
      class: "tool tool-named", type: "button", data: { key: `tool ${callback}`, shortcut: callback },
      on: { click: () => runShortcut(message, callback) },
    },
    name,
  );

/** The emoji picker, opened beside `anchor`. */
export function pick(message, anchor) {
  const choices = PICKER.map((name) => h("button", {
    class: "tool", type: "button", role: "menuitemcheckbox", "aria-checked": String(mine(
      message, name,
    )), "aria-label": spoken(name), title: `:${name}:`,
    data: { react: name }, on: { click: () => toggle(message, name) },
  }, emoji(name)));
  openPopup(anchor, h("div", { class: "emoji-grid" }, choices), { label: "Reactions", columns: 6 });
}

/** What a reader sees of a message; its `text` may be a short stand-in for its blocks. */
const shownText = (item) => [...item.querySelectorAll(".said")].map((said) => said.innerText).join("\n");

function more(message, anchor) {
  const item = anchor.closest("li");
  openPopup(anchor, [
    menuItem(icon("copy"), "Copy text", () => copy(shownText(item), "Text")),
    message.is_ephemeral ? null : menuItem(icon("link"), "Copy link", () => copy(permalink(message), "Link")),
    message.user === store.me && !message.is_ephemeral ? menuItem(
      icon("trash"), "Delete", () => remove(message),
    ) : null,
  ].filter(Boolean), { label: "More actions" });
}
