/** A list of messages that keeps its place: reuses what did not change, follows the end only when one is there. */

import { h, icon } from "./dom.js";
import { author, messageItem, timeOf } from "./message.js";
import { openThread } from "./actions.js";
import { isReply, isTombstone, payload, statusOf, store } from "./store.js";
import { toolbar } from "./toolbar.js";
import { reviewStates } from "./work.js";

const AT_END = 60; // pixels from the end that still count as being there
const TOGETHER = 300; // seconds within which messages of one author share a head
const LONG_PRESS_MS = 450;

export class Feed {
  /** `empty()` gives what to show while there is nothing. */
  constructor({ label, empty }) {
    this.empty = empty;
    this.items = new Map(); // key -> {node, print}
    this.conversation = null;
    this.waiting = 0;
    this.list = h("ol", { class: "feed", "aria-label": label });
    this.foot = h("div", { class: "feed-empty" });
    this.scroller = h(
      "div", { class: "scroller", tabindex: -1, on: { scroll: () => this.#scrolled() } }, this.list, this.foot,
    );
    this.pill = h("button", { class: "jump", type: "button", hidden: true, on: { click: () => this.toEnd() } });
    this.node = h("div", { class: "feed-frame" }, this.scroller, this.pill);
    this.#listen();
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#count(0);
  }

  /** Gives the focus to a message, if it is here. */
  focusOn(ts) {
    this.items.get(ts)?.node.focus();
  }

  /** Shows a conversation as it is now. */
  show(conversation) {
    const another = conversation !== this.conversation;
    const stay = this.atEnd ?? true;
    const known = new Set(this.items.keys());
    if (another) {
      this.conversation = conversation;
      this.first = true;
      this.#count(0);
    }
    const messages = conversation.messages;
    this.#arrange(this.#rows(messages));
    this.foot.replaceChildren(...(conversation.loaded && !messages.length ? [this.empty()] : []));
    if (this.first && conversation.loaded) {
      this.first = false;
      this.toEnd();
    } else if (!another) this.#follow(messages.filter((one) => !known.has(one.ts)), stay);
  }

  #follow(fresh, stay) {
    if (stay || fresh.some((one) => author(one) === store.me)) this.toEnd();
    else if (fresh.length) this.#count(this.waiting + fresh.length);
  }

  #count(waiting) {
    this.waiting = waiting;
    this.pill.hidden = waiting === 0;
    this.pill.replaceChildren(icon("down"), waiting === 1 ? "1 new message" : `${waiting} new messages`);
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.atEnd = scrollHeight - scrollTop - clientHeight < AT_END;
    if (this.atEnd && this.waiting) this.#count(0);
  }

  /** What stands in the list, in order: {key, print, make}. */
  #rows(messages) {
    const inThread = Boolean(this.conversation.thread);
    const rows = [];
    const states = inThread ? reviewStates(messages) : new Map();
    let before = null;
    for (const message of messages) {
      const day = timeOf(message.ts).toDateString();
      if (!inThread && (!before || timeOf(before.ts).toDateString() !== day)) rows.push(divider(
        `day ${day}`, dayWords(message.ts),
      ));
      const follows = Boolean(before) && together(before, message, rows.at(-1));
      const { kind, run } = payload(message);
      const review = kind === "answer" ? states.get(run) : undefined;
      const status = inThread ? "" : statusOf(message.channel, message.ts);
      rows.push({
        key: message.ts, print: JSON.stringify([message, follows, status, store.me, store.version, review]),
        make: () => messageItem(message, { follows, inThread, review }), message,
      });
      if (inThread && message.ts === this.conversation.thread && messages.length > 1) {
        const count = messages.filter((one) => isReply(one) && !one.is_ephemeral).length;
        if (count) rows.push(divider("replies", count === 1 ? "1 reply" : `${count} replies`));
      }
      before = message;
    }
    return rows;
  }

  #arrange(rows) {
    const focused = this.#focus();
    const kept = new Set(rows.map(({ key }) => key));
    for (const [key, { node }] of this.items) if (!kept.has(key)) { node.remove(); this.items.delete(key); }
    let place = this.list.firstElementChild;
    for (const { key, print, make, message } of rows) {
      let item = this.items.get(key);
      if (item?.print !== print) {
        const node = make();
        if (item) { if (place === item.node) place = node; item.node.replaceWith(node); }
        item = { node, print, message };
        this.items.set(key, item);
      }
      if (item.node === place) place = place.nextElementSibling;
      else this.list.insertBefore(item.node, place);
    }
    this.#focusAgain(focused);
    this.#rove();
  }

  #focus() {
    const item = document.activeElement?.closest?.("li.message");
    return item && this.list.contains(item) ? {
      ts: item.dataset.ts, key: document.activeElement.dataset.key, was: document.activeElement,
    } : null;
  }

  /** An item drawn anew gets back the focus its earlier self had. */
  #focusAgain(focused) {
    if (!focused || focused.was.isConnected) return;
    const item = this.items.get(focused.ts)?.node;
    if (!item) return;
    this.#equip(item);
    (item.querySelector(`[data-key="${CSS.escape(focused.key ?? "")}"]`) ?? item).focus({ preventScroll: true });
  }

  #rove() {
    const items = [...this.list.querySelectorAll("li.message")];
    if (!items.some((item) => item.tabIndex === 0)) items.at(-1)?.setAttribute("tabindex", "0");
  }

  #equip(item) {
    const message = this.items.get(item.dataset.ts)?.message;
    if (message && !item.querySelector(".toolbar") && !isTombstone(message)) item.append(toolbar(
      message, Boolean(this.conversation.thread),
    ));
  }

  #listen() {
    const itemOf = (event) => event.target.closest?.("li.message");
    const equip = (event) => { const item = itemOf(event); if (item) this.#equip(item); };
    const press = (item) => {
      for (const other of this.list.querySelectorAll("[data-pressed]")) {
        if (other !== item) delete other.dataset.pressed;
      }
      if (!item) return;
      this.#equip(item);
      item.toggleAttribute("data-pressed");
    };
    this.list.addEventListener("pointerover", equip);
    this.list.addEventListener("focusin", (event) => { equip(event); this.#tabStop(itemOf(event)); });
    this.list.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("click", (event) => { if (event.target.closest("[data-touch]")) press(itemOf(event)); });
    this.#pressLong(itemOf, press);
    new ResizeObserver(() => {
      if (this.atEnd ?? true) this.scroller.scrollTop = this.scroller.scrollHeight;
    }).observe(this.scroller);
  }

  #pressLong(itemOf, press) {
    let timer = 0;
    const drop = () => clearTimeout(timer);
    this.list.addEventListener("pointerdown", (event) => {
      drop();
      if (event.pointerType === "touch" && !event.target.closest("button, a")) timer = setTimeout(
        () => press(itemOf(event)), LONG_PRESS_MS,
      );
    });
    for (const type of ["pointerup", "pointercancel", "pointermove"]) this.list.addEventListener(type, drop);
    document.addEventListener(
      "pointerdown", (event) => { if (!event.target.closest("li.message[data-pressed], .popup")) press(null); },
    );
  }

  #tabStop(item) {
    if (!item) return;
    for (const other of this.list.querySelectorAll('li.message[tabindex="0"]')) other.tabIndex = -1;
    item.tabIndex = 0;
  }

  #key(event) {
    const item = event.target;
    if (!item.matches("li.message")) return;
    const all = [...this.list.querySelectorAll("li.message")];
    const at = all.indexOf(item);
    const next = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Enter" && !this.conversation.thread) openThread(this.items.get(item.dataset.ts).message);
    else if (next === undefined) return;
    else all[Math.min(Math.max(next, 0), all.length - 1)].focus();
    event.preventDefault();
  }
}

const divider = (key, text) => ({
  key, print: text, make: () => h("li", { class: "feed-divider", role: "separator" }, h("span", {}, text)),
});

function together(before, message, last) {
  const ordinary = !before.is_ephemeral && !message.is_ephemeral && !isTombstone(before);
  return ordinary && last?.message === before && author(before) === author(message)
    && payload(message).kind !== "root" && Number(message.ts) - Number(before.ts) < TOGETHER;
}

function dayWords(ts) {
  const when = timeOf(ts);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(when).setHours(0, 0, 0, 0)) / 86_400_000);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : when.toLocaleDateString(
    undefined, { weekday: "long", day: "numeric", month: "long" },
  );
}
