/** The things one fills in: text, choice, radio buttons, check boxes. */

import { h } from "./dom.js";
import { plainText, textObject } from "./words.js";

/**
 * A field for an element: `node` to show, `read()` giving its value as Slack's view state has it, `isEmpty(value)`,
 * and `isGroup` where the node is several inputs.
 */
export function fieldOf(element) {
  switch (element.type) {
    case "plain_text_input":
    case "number_input":
    case "email_text_input":
    case "url_text_input":
      return textField(element);
    case "static_select":
    case "external_select":
      return selectField(element);
    case "radio_buttons":
      return choices(element, "radio");
    case "checkboxes":
      return choices(element, "checkbox");
    default:
      return { node: h("div", { class: "unknown-block" }, `${element.type ?? "unknown"} element`), isGroup: true };
  }
}

function textField(element) {
  const shape = {
    class: "text-input", placeholder: element.placeholder?.text, maxlength: element.max_length,
    autofocus: element.focus_on_load,
  };
  const node = element.multiline ? h("textarea", { ...shape, rows: 5 }) : h(
    "input", { ...shape, type: "text", autocomplete: "off" },
  );
  node.value = element.initial_value ?? "";
  return {
    node,
    read: () => ({ type: element.type, value: node.value || null }),
    isEmpty: ({ value }) => !value?.trim(),
    restore: ({ value }) => { node.value = value ?? ""; },
  };
}

const groups = (element) => element.option_groups ?? [{ options: element.options ?? [] }];
const optionsOf = (element) => groups(element).flatMap((group) => group.options);

function selectField(element) {
  const shown = (option) => h("option", { value: option.value }, option.text.text);
  const node = h("select", { class: "select" },
    h("option", { value: "" }, element.placeholder?.text ?? "Choose…"),
    groups(element).map((group) => (group.label ? h(
      "optgroup", { label: group.label.text }, group.options.map(shown),
    ) : group.options.map(shown))));
  node.value = element.initial_option?.value ?? "";
  return {
    node,
    read: () => ({
      type: "static_select", selected_option: optionsOf(element).find((option) => option.value === node.value) ?? null,
    }),
    isEmpty: ({ selected_option: option }) => !option,
    restore: ({ selected_option: option }) => { node.value = option?.value ?? ""; },
  };
}

let named = 0;

function choices(element, type) {
  const name = `choice-${++named}`;
  const first = (element.initial_options ?? [element.initial_option]).filter(Boolean).map((option) => option.value);
  const boxes = optionsOf(element).map((option) => ({
    option, box: h("input", { type, name, checked: first.includes(option.value) }),
  }));
  const node = h("div", { class: "choices" }, boxes.map(({ option, box }) => h("label", { class: "choice" }, box,
    h("span", {}, option.text.type === "mrkdwn" ? textObject(option.text) : plainText(option.text),
      option.description ? h("span", { class: "hint" }, plainText(option.description)) : null))));
  const picked = () => boxes.filter(({ box }) => box.checked).map(({ option }) => option);
  const tick = (values) => boxes.forEach(({ option, box }) => { box.checked = values.includes(option.value); });
  return type === "radio"
    ? {
      node, isGroup: true, read: () => ({ type: "radio_buttons", selected_option: picked()[0] ?? null }),
      isEmpty: ({ selected_option: option }) => !option,
      restore: ({ selected_option: option }) => tick([option?.value]),
    }
    : {
      node, isGroup: true, read: () => ({ type: "checkboxes", selected_options: picked() }),
      isEmpty: ({ selected_options: options }) => !options.length,
      restore: ({ selected_options: options }) => tick(options.map((one) => one.value)),
    };
}
