/** Where one writes: with completion, suggestions to try, and refusals said beside the text. */

import { say } from "./actions.js";
import { commandOf, stageWord, suggestions } from "./completions.js";
import { fill, h, icon } from "./dom.js";
import { face, fullName } from "./people.js";
import { bot, channelName, channelOf, isDirect, store } from "./store.js";
import { plain } from "./words.js";

const TALLEST = 220; // pixels
let composers = 0;

export class Composer {
  constructor({ inThread }) {
    this.inThread = inThread;
    this.id = inThread ? "thread-composer" : "composer";
    this.menuId = `completions-${++composers}`;
    this.place = null;
    this.found = null; // what suggestions() gave
    this.chosen = 0;
    this.text = h("textarea", {
      id: this.id, rows: 1, enterkeyhint: "send",
      role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": this.menuId,
      on: {
        input: () => this.#typed(), keydown: (event) => this.#key(event), blur: () => this.#offer(null),
        click: () => this.#look(),
      },
    });
    this.menu = h(
      "div", { class: "completions", id: this.menuId, role: "listbox", "aria-label": "Suggestions", hidden: true },
    );
    this.tries = h("div", { class: "tries" });
    this.fault = h("p", { class: "composer-fault", role: "alert" });
    this.hint = h("p", { class: "composer-hint" });
    this.who = h("span", { class: "composer-face" });
    this.button = h("button", { class: "send", type: "submit", "aria-label": "Send" }, icon("send"));
    this.box = h("div", { class: "composer-box" }, this.who, this.text, this.button);
    this.node = h("form", { class: "composer", on: { submit: (event) => { event.preventDefault(); this.#send(); } } },
      this.menu, this.tries, this.box, this.fault, this.hint);
  }

  /** Moves the composer to a conversation, as the present person; what was typed there before comes back. */
  show(channel, thread) {
    const place = `${store.me} ${channel} ${thread}`;
    const closed = channelOf(channel)?.is_archived;
    if (place !== this.place) {
      this.place = place;
      this.text.value = store.drafts.get(place) ?? "";
      this.fault.textContent = "";
      this.#offer(null);
    }
    [this.channel, this.thread] = [channel, thread];
    this.text.disabled = Boolean(closed);
    this.text.placeholder = closed ? "This channel is archived." : this.#placeholder();
    this.text.setAttribute("aria-label", this.inThread ? "Reply in the thread" : `Message ${where(channel)}`);
    fill(this.who, face(store.me, "small"));
    this.#dress();
  }

  #placeholder() {
    if (this.inThread) return "Reply…";
    return `Message ${where(this.channel)} as ${fullName(store.me)}`;
  }

  focus() {
    this.text.focus();
  }

  /** Puts a text in, ready to be changed or sent. */
  set(text) {
    this.text.value = text;
    this.text.focus();
    this.text.setSelectionRange(text.length, text.length);
    this.#typed();
  }

  #typed() {
    store.drafts.set(this.place, this.text.value);
    this.fault.textContent = "";
    this.#look();
    this.#dress();
  }

  /** Size, hint, suggestions to try: what follows from the text. */
  #dress() {
    const { text } = this;
    text.style.height = "auto";
    text.style.height = `${Math.min(text.scrollHeight, TALLEST)}px`;
    this.button.disabled = !text.value.trim();
    fill(this.hint, this.#hintNodes());
    const offering = !this.inThread && !text.value && store.feed?.messages.length; // an empty channel shows them itself
    const offers = offering ? (store.state?.try ?? []).filter((one) => one.channel === this.channel) : [];
    fill(
      this.tries, offers.length ? h("span", { class: "tries-label" }, "Try") : null,
      offers.map((one) => this.#tryButton(one)),
    );
    this.tries.hidden = !offers.length;
  }

  #tryButton({ text }) {
    return h(
      "button", { class: "try", type: "button", title: text, on: { click: () => this.set(text) } }, tryWords(text),
    );
  }

  #hintNodes() {
    const command = this.inThread ? null : commandOf(this.text.value);
    if (command) return [
      h("code", {}, command.command), ` ${command.usage_hint ?? ""}`,
      h("span", { class: "hint-more" }, command.description),
    ];
    if (!this.inThread) return [
      h("kbd", {}, "/"), " for commands, ", h("kbd", {}, "@"), " for people",
      h(
        "span", { class: "hint-more" }, h("kbd", {}, "Enter"), " sends, ", h("kbd", {}, "Shift Enter"),
        " breaks the line",
      ),
    ];
    const stages = (store.state?.commands ?? []).map(({ command }) => stageWord(command)).filter((word) => [
      "critique", "draft", "final",
    ].includes(word));
    return [`In a thread, mention @${bot().name}: ${stages.sort().join(", ")}…`];
  }

  // Completion

  #look() {
    const { value, selectionStart } = this.text;
    this.#offer(suggestions(value.slice(0, selectionStart), this.inThread));
  }

  #offer(found) {
    this.found = found;
    this.chosen = 0;
    this.menu.hidden = !found;
    this.text.setAttribute("aria-expanded", String(Boolean(found)));
    fill(
      this.menu, found?.note ? h("p", { class: "completions-note" }, found.note) : null,
      (found?.items ?? []).map((item, at) => this.#option(item, at)),
    );
    this.#mark();
  }

  #option(item, at) {
    const take = (event) => { event.preventDefault(); this.#take(item); };
    return h("div", {
      class: "completion", role: "option", id: `${this.menuId}-${at}`,
      on: { pointerdown: (event) => event.preventDefault(), click: take },
    },
      item.person ? face(item.person, "tiny") : null,
      h("span", { class: "completion-name" }, item.shown ?? item.name),
      item.hint ? h("span", { class: "completion-hint" }, item.hint) : null,
      h("span", { class: "completion-words" }, item.words ?? ""));
  }

  #mark() {
    const options = [...this.menu.querySelectorAll("[role=option]")];
    options.forEach((option, at) => option.setAttribute("aria-selected", String(at === this.chosen)));
    const chosen = options[this.chosen];
    if (chosen) this.text.setAttribute("aria-activedescendant", chosen.id);
    else this.text.removeAttribute("aria-activedescendant");
    chosen?.scrollIntoView({ block: "nearest" });
  }

  #take({ insert }) {
    const { value, selectionStart } = this.text;
    const start = value.slice(0, this.found.from) + insert;
    this.text.value = start + value.slice(selectionStart).replace(/^ /, "");
    this.text.setSelectionRange(start.length, start.length);
    this.#typed();
  }

  #key(event) {
    if (event.isComposing) return;
    if (this.found && this.#menuKey(event)) event.preventDefault();
    else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#send();
    }
  }

  #menuKey({ key, shiftKey }) {
    const { items, typed } = this.found;
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    const item = items[this.chosen];
    if (step) {
      this.chosen = (this.chosen + step + items.length) % items.length;
      this.#mark();
    } else if (key === "Escape") this.#offer(null);
    // What is typed out in full needs no completing: Enter sends it.
    else if (!shiftKey && (key === "Tab" || (key === "Enter" && !same(item.name, typed)))) this.#take(item);
    else return false;
    return true;
  }

  async #send() {
    const { text, channel, thread, place } = this;
    const words = text.value.trim();
    if (!words || this.sending) return;
    this.sending = true;
    const said = await say(channel, words, thread);
    this.sending = false;
    if (!said.ok) {
      if (this.place === place) this.fault.replaceChildren(...plain(said.error));
    } else if (store.drafts.get(place)?.trim() === words) {
      store.drafts.delete(place);
      if (this.place === place) this.text.value = "";
    }
    this.#offer(null);
    this.#dress();
  }
}

const same = (one, other) => one.toLowerCase() === other.toLowerCase();
const where = (channel) => (isDirect(channelOf(channel), channel) ? channelName(channel) : `#${channelName(channel)}`);

/** A text to try, with its command set apart. */
export function tryWords(text) {
  const [, command, rest] = /^(\/\S+)?\s?(.*)$/s.exec(text);
  return [command ? h("span", { class: "try-command" }, command) : null, " ", h("span", { class: "try-text" }, rest)];
}
