/** The frame around the conversations: the bar above, the list of channels and people beside. */

import { showKeys } from "./dialogs.js";
import { fill, h, icon } from "./dom.js";
import { face, fullName, roleWords } from "./people.js";
import { menuItem, openPopup } from "./popup.js";
import { go } from "./route.js";
import { bot, cast, channelName, isDirect, store } from "./store.js";

export const topbar = h("header", { class: "topbar" });
export const sidebar = h("nav", { class: "sidebar", "aria-label": "Channels and people" });

/** Draws both anew, unless nothing in them changed: a press under way would be lost with its button. */
export function drawFrame() {
  const print = JSON.stringify([
    store.state, store.me, store.channel, store.home, store.list, store.link, [...store.unread],
  ]);
  if (print === drawFrame.print) return;
  drawFrame.print = print;
  const key = document.activeElement?.closest?.(".topbar, .sidebar") ? document.activeElement.dataset.key : "";
  drawTopbar();
  drawSidebar();
  if (key) document.querySelector(`:is(.topbar, .sidebar) [data-key="${CSS.escape(key)}"]`)?.focus();
}

function drawTopbar() {
  fill(topbar,
    h("div", { class: "brand" }, h("img", { src: "/assets/mark.svg", alt: "", width: 28, height: 28 }),
      h("h1", { class: "brand-name" }, "Countersign", h("span", { class: "brand-more" }, " playground"))),
    store.state.label ? label(store.state.label) : null,
    h("div", { class: "topbar-space" }),
    connection(),
    h(
      "button",
      {
        class: "icon-button keys-button", type: "button", "aria-label": "Keys", title: "Keys (?)",
        data: { key: "keys" }, on: { click: showKeys },
      },
      icon("help"),
    ),
    whoButton());
}

function label(text) {
  const [name, rest = ""] = text.split(/:\s*(.*)/s);
  return h(
    "p", { class: "label", title: text }, h("span", { class: "label-name" }, name),
    rest ? h("span", { class: "label-more" }, rest) : null,
  );
}

function connection() {
  const { name, connected } = bot();
  const [state, words] = store.link === "broken" ? ["bad", "Reconnecting…"]
    : connected ? ["good", `${name} is connected`] : ["warn", `${name} is not connected`];
  return h(
    "p", { class: "connection", role: "status", data: { state }, title: words },
    h("span", { class: "dot", "aria-hidden": "true" }), h("span", { class: "connection-words" }, words),
  );
}

function whoButton() {
  const who = cast().find((one) => one.id === store.me);
  return h("button", {
    class: "who", type: "button", "aria-haspopup": "menu",
    "aria-label": `You are ${fullName(store.me)}. Be somebody else`, data: { key: "who" },
    on: { click: (event) => choosePerson(event.currentTarget) },
  },
    face(store.me, "small"),
    h(
      "span", { class: "who-words" },
      h("span", { class: "who-name" }, h("span", { class: "quiet" }, "You are "), fullName(store.me)),
      h("span", { class: "who-role" }, who ? roleWords(who) : ""),
    ),
    icon("chevron"));
}

function choosePerson(anchor) {
  const rows = cast().map((one) => menuItem(face(one.id, "small"),
    [
      h("span", { class: "menu-name" }, one.real_name || one.name),
      h(
        "span", { class: "menu-more" },
        [
          one.title, roleWords(one),
        ].filter((words, at) => words && (at === 0 || words !== one.title?.toLowerCase())).join(" · "),
      ),
    ],
    () => go({ as: one.id }), {
      role: "menuitemradio", "aria-checked": String(one.id === store.me), data: { person: one.id },
    }));
  openPopup(anchor, rows, { label: "Be somebody else" });
}

function drawSidebar() {
  const all = store.state.channels;
  const direct = all.filter((one) => isDirect(one));
  fill(sidebar,
    h("p", { class: "team" }, store.state.team.name),
    group("Channels", all.filter((one) => !isDirect(one)).map(channelRow)),
    group("App", [...direct.map(channelRow), homeRow()]),
    group("Act as", cast().map(personRow)));
}

function group(title, rows) {
  const shown = rows.filter(Boolean);
  return shown.length ? h(
    "section", { class: "side-group" }, h("h2", { class: "side-title" }, title),
    h("ul", { class: "side-list" }, shown.map((row) => h("li", {}, row))),
  ) : null;
}

function channelRow(channel) {
  const unread = store.unread.get(channel.id) ?? 0;
  const current = !store.home && channel.id === store.channel;
  const picture = isDirect(channel) ? face(bot().user_id, "tiny") : icon(channel.is_private ? "lock" : "hash");
  return h("button", {
    class: "side-row", type: "button", "aria-current": current ? "page" : undefined, data: {
      key: `channel ${channel.id}`, channel: channel.id, unread: unread || undefined,
    },
    on: { click: () => go({ channel: channel.id, thread: "", home: "" }) },
  }, picture, h("span", { class: "side-name" }, channelName(channel.id)), ...flags(channel), unread ? h(
    "span", { class: "unread", "aria-label": `${unread} new` }, unread,
  ) : null);
}

/** What is special about a channel, in a word each. */
export function flags(channel) {
  const words = [
    channel.is_ext_shared && [
      "shared", "Shared with another organisation",
    ], channel.is_archived && ["archived", "Nobody can write here any more"],
    channel.is_member === false && !isDirect(channel) && ["no app", `${bot().name} is not in this channel`],
  ];
  return words.filter(Boolean).map(([word, title]) => h("span", { class: "flag", title }, word));
}

const homeRow = () =>
  h("button", {
    class: "side-row", type: "button", "aria-current": store.home ? "page" : undefined, data: { key: "home" },
    on: { click: () => go({ home: "1", thread: "" }) },
  },
    icon("home"), h("span", { class: "side-name" }, "Home"));

const personRow = (one) =>
  h("button", {
    class: "side-row person-row", type: "button", "aria-current": one.id === store.me ? "true" : undefined,
    data: { key: `person ${one.id}`, person: one.id }, on: { click: () => go({ as: one.id }) },
  },
    face(one.id, "tiny"), h("span", { class: "side-name" }, one.real_name || one.name), h(
      "span", { class: "side-role" }, one.id === store.me ? "you" : one.role,
    ));
