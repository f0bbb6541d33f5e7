/** Small floating menus beside the button that opened them. */

import { h } from "./dom.js";

const EDGE = 8;
let close = () => {};

/**
 * Opens `content` beside `anchor`. The arrow keys move among its buttons (`columns` to a row), Escape and a press
 * elsewhere close it, and the focus goes back to where it was.
 */
export function openPopup(anchor, content, { label, role = "menu", columns = 1 }) {
  const again = anchor.getAttribute("aria-expanded") === "true";
  close();
  if (again) return;
  const popup = h(
    "div",
    {
      class: "popup", role, "aria-label": label,
      on: { keydown, click: (event) => event.target.closest("button") && shut(true) },
    },
    content,
  );
  const buttons = () => [...popup.querySelectorAll("button")];
  anchor.setAttribute("aria-expanded", "true");
  (anchor.closest("dialog") ?? document.body).append(popup);
  place(popup, anchor);
  (popup.querySelector("[aria-checked='true']") ?? buttons()[0])?.focus();
  const elsewhere = (event) => { if (!popup.contains(event.target) && !anchor.contains(event.target)) shut(false); };
  const leave = () => shut(false);
  document.addEventListener("pointerdown", elsewhere, true);
  addEventListener("resize", leave);
  close = () => shut(false);

  function shut(back) {
    close = () => {};
    document.removeEventListener("pointerdown", elsewhere, true);
    removeEventListener("resize", leave);
    anchor.setAttribute("aria-expanded", "false");
    popup.remove();
    if (back) anchor.focus();
  }

  function keydown(event) {
    const steps = {
      ArrowDown: columns, ArrowUp: -columns, ArrowRight: columns > 1 ? 1 : 0, ArrowLeft: columns > 1 ? -1 : 0,
    };
    if (event.key === "Escape" || event.key === "Tab") shut(true);
    else if (steps[event.key]) {
      const all = buttons();
      const next = all.indexOf(document.activeElement) + steps[event.key];
      all[(next + all.length) % all.length].focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function place(popup, anchor) {
  const from = anchor.getBoundingClientRect();
  const { width, height } = popup.getBoundingClientRect();
  const below = from.bottom + 6 + height < innerHeight - EDGE;
  const top = below ? from.bottom + 6 : Math.max(EDGE, from.top - 6 - height);
  const left = Math.min(Math.max(EDGE, from.right - width), innerWidth - width - EDGE);
  popup.style.top = `${Math.round(top)}px`;
  popup.style.left = `${Math.round(left)}px`;
}

/** A row of a menu. */
export const menuItem = (icons, words, chosen, more = {}) =>
  h(
    "button", { class: "menu-item", type: "button", role: "menuitem", ...more, on: { click: chosen } }, icons,
    h("span", { class: "menu-words" }, words),
  );
