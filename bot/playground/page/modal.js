/** The app's modals: shown to the person they belong to, newest on top. */

import { act } from "./actions.js";
import { perform } from "./api.js";
import { block } from "./blocks.js";
import { openDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { store } from "./store.js";
import { plainText } from "./words.js";

let shown = null; // {view, dialog, fields}

/** Brings the newest view on screen, and takes away one that is no longer there. */
export function showViews() {
  const view = store.views.at(-1);
  if (shown?.view === view) return;
  const kept = shown && view && shown.view.id === view.id ? shown.fields : [];
  takeAway();
  if (view) present(view, kept);
}

function takeAway() {
  if (!shown) return;
  const { dialog } = shown;
  shown = null; // before closing, so that leaving is not taken for the person's wish
  dialog.close();
}

function present(view, kept) {
  const fields = [];
  const use = {
    fields,
    click: (given, element, chosen) => act(
      "click", { view_id: view.id, block_id: given.block_id, action_id: element.action_id, ...chosen },
    ),
  };
  const trouble = h("p", { class: "fault", role: "alert" });
  const form = h("form", {
    id: `form-${view.id}`, class: "view blocks", novalidate: true, data: { view: view.callback_id || view.id },
    on: { submit },
  },
    (view.blocks ?? []).map((one) => block(one, use)), trouble);
  restore(fields, kept);
  const cancel = h(
    "button", { class: "button", type: "button", on: { click: () => dialog.close() } },
    plainText(view.close ?? "Close"),
  );
  const send = view.submit ? h(
    "button", { class: "button", type: "submit", form: form.id, data: { style: "primary" } }, plainText(view.submit),
  ) : null;
  const dialog = openDialog({ title: plainText(view.title), body: form, foot: [cancel, send], left, wide: true });
  shown = { view, dialog, fields };
  (form.querySelector("[autofocus]") ?? form.querySelector("input, textarea, select"))?.focus();

  function left() {
    if (shown?.dialog !== dialog) return;
    shown = null;
    store.views = store.views.filter((one) => one.id !== view.id);
    perform(store.me, "close", { view_id: view.id }); // nobody waits for the answer: the view is gone here anyway
    showViews();
  }

  async function submit(event) {
    event.preventDefault();
    trouble.textContent = "";
    if (!complete(fields)) return;
    send.disabled = true;
    const said = await perform(store.me, "submit", { view_id: view.id, values: values(fields) });
    send.disabled = false;
    if (!said.ok) trouble.textContent = said.error;
    else if (said.errors) complain(fields, said.errors, trouble);
  }
}

/** An updated view keeps what was typed into the fields it still has. */
function restore(fields, kept) {
  for (const field of fields) {
    const before = kept.find((one) => one.block_id === field.block_id && one.action_id === field.action_id);
    if (before?.read && field.restore) field.restore(before.read());
  }
}

function values(fields) {
  const state = {};
  for (const { block_id: id, action_id: action, read } of fields) if (read) (state[id] ??= {})[action] = read();
  return state;
}

function complete(fields) {
  for (const field of fields) mark(
    field, !field.optional && field.read && field.isEmpty(field.read()) ? "Please fill this in." : "",
  );
  return toFirstFault(fields);
}

function complain(fields, errors, trouble) {
  for (const field of fields) mark(field, errors[field.block_id] ?? "");
  const others = Object.entries(errors).filter(([id]) => !fields.some((field) => field.block_id === id));
  trouble.textContent = others.map(([, words]) => words).join(" ");
  toFirstFault(fields);
}

function mark(field, words) {
  field.fault.textContent = words;
  field.node.toggleAttribute("data-faulty", Boolean(words));
  if (!field.isGroup) field.node.setAttribute("aria-invalid", String(Boolean(words)));
}

function toFirstFault(fields) {
  const faulty = fields.find((field) => field.fault.textContent);
  if (faulty) (faulty.isGroup ? faulty.node.querySelector("input") : faulty.node)?.focus();
  return !faulty;
}
