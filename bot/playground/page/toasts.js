/** Passing notes at the foot of the page, and words for screen readers. */

import { h, icon } from "./dom.js";
import { mrkdwn } from "./words.js";

const STAYS_MS = 7000;

/** Shows a note for some seconds; it stays while the pointer or the focus is on it. */
export function toast(text, tone = "plain") {
  const close = h(
    "button",
    { class: "icon-button small", type: "button", "aria-label": "Dismiss", on: { click: () => note.remove() } },
    icon("close"),
  );
  const note = h("div", { class: "toast", data: { tone } }, h("div", { class: "toast-text" }, mrkdwn(text)), close);
  const leave = () => (note.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : note.remove());
  document.getElementById("toasts").append(note);
  setTimeout(leave, STAYS_MS);
}

export function announce(text) {
  const place = document.getElementById("announcer");
  place.append(h("p", {}, text.length > 240 ? `${text.slice(0, 240)}…` : text));
  while (place.childElementCount > 5) place.firstElementChild.remove();
}
