/** The page: follows the address and the live line, and draws what they bring. */

import { openHome } from "./actions.js";
import { fetchMessages, fetchState, listen } from "./api.js";
import { showKeys } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { drawFrame, sidebar, topbar } from "./frame.js";
import { showViews } from "./modal.js";
import { author } from "./message.js";
import { channelPane, drawPanes, homePane, threadPane } from "./panes.js";
import { fullName } from "./people.js";
import { arrive, followOwnLinks, go, read, settle } from "./route.js";
import { Conversation, cast, channelOf, isBots, rootOf, store } from "./store.js";
import { announce, toast } from "./toasts.js";
import { spokenText } from "./words.js";

const STATUS_MS = 120_000; // Slack takes a status away after two minutes

let hangUp = () => {};
let drawing = false;

function draw() {
  if (drawing || !store.state) return;
  drawing = true;
  queueMicrotask(() => {
    drawing = false;
    drawFrame();
    drawPanes();
    showViews();
    const place = store.home ? "Home" : channelOf(store.channel)?.name ? `#${channelOf(store.channel).name}` : "";
    document.title = [place, "Countersign playground"].filter(Boolean).join(" · ");
  });
}

// The address decides who looks at what

async function follow() {
  const wanted = read();
  const another = !store.state || wanted.as !== store.me;
  if (another) await become(wanted.as);
  const before = { channel: store.channel, thread: store.thread, home: store.home && !another };
  store.home = Boolean(wanted.home);
  store.list = Boolean(wanted.list);
  store.channel = channelOf(wanted.channel) ? wanted.channel : store.channel || firstChannel();
  store.thread = store.channel === wanted.channel ? wanted.thread : "";
  settle();
  await open(before);
  draw();
  queueMicrotask(() => carryFocus(before.thread));
}

/** An opened thread is there to be answered; a closed one gives the focus back to its root. */
function carryFocus(before) {
  if (before === store.thread || !matchMedia("(hover: hover)").matches) return;
  const focused = document.activeElement;
  if (store.thread) threadPane.composer.focus();
  else if (focused === document.body || threadPane.node.contains(focused)) channelPane.feed.focusOn(before);
}

const firstChannel = () => {
  const ids = store.state.channels.map((one) => one.id);
  return (store.state.try ?? []).map((one) => one.channel).find((id) => ids.includes(id)) ?? ids[0] ?? "";
};

/** Puts on another person: their state, their live line, their messages. */
async function become(wanted) {
  hangUp();
  store.state = await fetchState(wanted);
  const who = cast().find((one) => one.id === wanted) ?? cast().find((one) => one.role === "requester") ?? cast()[0];
  if (who.id !== wanted) store.state = await fetchState(who.id);
  Object.assign(store, { me: who.id, feed: null, replies: null, views: [], link: "opening" });
  if (!channelOf(store.channel)) store.channel = "";
  store.unread.clear();
  hangUp = listen(
    who.id, (event) => store.me === who.id && hear(event), (stands) => store.me === who.id && linked(stands),
  );
}

async function open(before) {
  store.unread.delete(store.channel);
  const jobs = store.home && !before.home ? [openHome(store.me)] : [];
  if (!store.feed?.is(store.channel, "")) {
    store.feed = new Conversation(store.channel);
    jobs.push(load(store.feed));
  }
  if (!store.thread) store.replies = null;
  else if (!store.replies?.is(store.channel, store.thread)) {
    store.replies = new Conversation(store.channel, store.thread);
    jobs.push(load(store.replies));
  }
  if (before.channel !== store.channel || before.thread !== store.thread) draw();
  await Promise.all(jobs);
}

async function load(conversation) {
  try {
    await conversation.fill(fetchMessages(store.me, conversation.channel, conversation.thread));
  } catch {
    linked(false);
  }
}

// The live line brings what happened

async function linked(stands) {
  const again = stands && store.link === "broken";
  store.link = stands ? "open" : "broken";
  draw();
  if (!stands) return;
  if (again) await renew();
  // What happened between the first fetch and the first word of the line would be missed otherwise.
  await Promise.all([store.feed, store.replies].filter(Boolean).map(load));
  draw();
}

async function renew() {
  const me = store.me;
  try {
    const state = await fetchState(me);
    if (store.me !== me) return;
    store.state = state;
    store.version = (store.version ?? 0) + 1; // names may have changed: draw messages anew
  } catch {
    return; // the live line says so already, and comes back by itself
  }
  draw();
}

function hear(event) {
  const changed = [store.feed, store.replies].filter(Boolean).map((conversation) => conversation.hear(event));
  HEARD[event.type]?.(event, changed.some(Boolean));
  draw();
}

const mine = (event) => !event.as || event.as === store.me;

const HEARD = {
  message: ({ message }, shown) => {
    if (isBots(message)) store.statuses.delete(`${message.channel} ${rootOf(message)}`);
    if (author(message) === store.me) return;
    if (message.channel !== store.channel) store.unread.set(
      message.channel, (store.unread.get(message.channel) ?? 0) + 1,
    );
    else if (shown) announce(`${fullName(author(message))}: ${spokenText(message.text ?? "")}`);
  },
  deleted: ({ channel, ts }) => {
    if (channel === store.channel && ts === store.thread) go({ thread: "" });
  },
  status: ({ channel, thread_ts: thread, text }) => {
    const key = `${channel} ${thread}`;
    clearTimeout(store.statuses.get(key)?.timer);
    store.statuses.delete(key);
    if (text) store.statuses.set(
      key, { text, timer: setTimeout(() => { store.statuses.delete(key); draw(); }, STATUS_MS) },
    );
  },
  view: (event) => {
    if (!mine(event)) return;
    const at = store.views.findIndex((one) => one.id === event.view.id);
    if (at < 0) store.views = [...store.views, event.view];
    else store.views = store.views.with(at, event.view);
  },
  view_closed: (event) => {
    if (mine(event)) store.views = store.views.filter((one) => one.id !== event.view_id);
  },
  toast: (event) => { if (mine(event)) toast(event.text, event.tone); },
  home: ({ user, view }) => { store.homes.set(user, view); },
  state: () => { renew(); },
};

// Keys that work everywhere

function key(event) {
  const typing = event.target.closest?.("input, textarea, select, dialog");
  const busy = typing || event.ctrlKey || event.metaKey || event.altKey;
  const covered = event.defaultPrevented || document.querySelector("dialog[open], .popup");
  const composer = store.thread && !store.home ? threadPane.composer : channelPane.composer;
  if (event.key === "Escape" && store.thread && !covered) go({ thread: "" });
  else if (busy) return;
  else if (event.key === "/") composer.focus();
  else if (event.key === "?") showKeys();
  else return;
  event.preventDefault();
}

async function start() {
  const app = document.getElementById("app");
  try {
    await follow();
  } catch {
    fill(app, h("p", { class: "plain-note" }, "The playground does not answer. This page tries again in a moment."));
    setTimeout(start, 2000);
    return;
  }
  fill(app, topbar, h("div", { class: "work-area" }, sidebar, channelPane.node, homePane.node, threadPane.node));
  draw();
}

// One after the other: a person who is still arriving must not be overtaken by the next.
let arriving = Promise.resolve();
addEventListener("hashchange", () => { arriving = arriving.then(follow).catch(() => linked(false)); });
document.addEventListener("keydown", key);
document.addEventListener("click", followOwnLinks);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // its address would be read as a place to go to
  channelPane.composer.focus();
});
arrive();
start();
