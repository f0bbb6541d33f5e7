/** Dialogs: the app's questions before a press counts, and the list of keys. */

import { h, icon } from "./dom.js";
import { plainText, textObject } from "./words.js";

let titles = 0;

/** A modal dialog around `body`; `foot` are its buttons. `left` is called once, however the person left it. */
export function openDialog({ title, body, foot, left = () => {}, wide = false }) {
  const id = `dialog-title-${++titles}`;
  const close = h(
    "button", { class: "icon-button", type: "button", "aria-label": "Close", on: { click: () => dialog.close() } },
    icon("close"),
  );
  const dialog = h("dialog", { class: wide ? "dialog wide" : "dialog", "aria-labelledby": id, on: { close: gone } },
    h("header", { class: "dialog-head" }, h("h2", { id }, title), close),
    h("div", { class: "dialog-body" }, body),
    foot ? h("footer", { class: "dialog-foot" }, foot) : null);
  function gone() {
    dialog.remove();
    left();
  }
  document.body.append(dialog);
  dialog.showModal();
  foot?.[0]?.focus(); // the one that only leaves
  return dialog;
}

/** Asks what a confirm object asks; true at once where there is none. */
export function confirmed(confirm) {
  if (!confirm) return Promise.resolve(true);
  return new Promise((resolve) => {
    let answer = false;
    const yes = h(
      "button", { class: "button", type: "button", data: { style: confirm.style ?? "primary" }, on: { click: agree } },
      plainText(confirm.confirm ?? "Yes"),
    );
    const no = h(
      "button", { class: "button", type: "button", on: { click: () => dialog.close() } },
      plainText(confirm.deny ?? "No"),
    );
    const dialog = openDialog({
      title: plainText(confirm.title ?? "Are you sure?"), body: textObject(confirm.text), foot: [no, yes],
      left: () => resolve(answer),
    });
    function agree() {
      answer = true;
      dialog.close();
    }
  });
}

const KEYS = [
  ["/", "Go to the composer"], ["Enter", "Send; in a menu, take the choice"], ["Shift Enter", "New line"],
  [
    "↑ ↓", "Move among messages, or through a menu",
  ], ["Enter on a message", "Open its thread"], ["Tab on a message", "Its reactions and actions"],
  ["Esc", "Close the menu, the dialog or the thread"], ["?", "This list"],
];

export function showKeys() {
  if (document.querySelector("dialog[open]")) return;
  const rows = KEYS.map(([keys, what]) => h(
    "div", { class: "key-row" }, h("dt", {}, h("kbd", {}, keys)), h("dd", {}, what),
  ));
  openDialog({ title: "Keys", body: h("dl", { class: "keys" }, rows) });
}
