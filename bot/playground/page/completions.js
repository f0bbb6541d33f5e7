/** What the composer offers while one types: commands, people, and the stages after a mention of the app. */

import { bot, cast, handle, store } from "./store.js";

const MOST = 8;

/**
 * What fits the text before the caret: `{from, items, note}`, or null. An item has `insert` (what replaces the text
 * from `from` on), `name` (what one would type in full), `hint`, `words`, and perhaps `person`.
 */
export function suggestions(before, inThread) {
  return slash(before, inThread) ?? stage(before, inThread) ?? mention(before);
}

const commands = () => store.state?.commands ?? [];
const offered = (from, typed, items, note = "") => {
  const fitting = items.filter(({ name, also = "" }) => [
    name, also,
  ].some((one) => one.toLowerCase().startsWith(typed.toLowerCase())));
  return fitting.length ? { from, typed, items: fitting.slice(0, MOST), note } : null;
};

/** The word the app's mention understands for a command: its name without the slash and the operator's prefix. */
export const stageWord = (command) => command.slice(1).split("-").at(-1);

function slash(before, inThread) {
  const found = /^\/(\S*)$/.exec(before);
  if (!found) return null;
  if (inThread) return inThreadInstead(found[1]);
  const items = commands().map(({ command, usage_hint: hint, description }) => ({
    name: command, insert: `${command} `, hint, words: description,
  }));
  return offered(0, before, items);
}

// Slack refuses an app's commands inside threads, so the composer offers the mention that does the same.
function inThreadInstead(typed) {
  const items = commands().map(({ command, description }) => ({
    name: command.slice(1), also: stageWord(command), shown: `@${bot().name} ${stageWord(command)}`,
    insert: `@${bot().name} ${stageWord(command)} `, words: description,
  }));
  return offered(0, typed, items, "Slack takes no app commands inside threads; a mention does the same.");
}

function stage(before, inThread) {
  const found = new RegExp(`^\\s*@${bot().name}\\s+(\\w*)$`, "i").exec(before);
  if (!found || !inThread) return null;
  const items = commands().map(({ command, description }) => ({
    name: stageWord(command), insert: `${stageWord(command)} `, words: description,
  }));
  return offered(before.length - found[1].length, found[1], items);
}

function mention(before) {
  const found = /(?:^|[\s(])@([\w.-]*)$/.exec(before);
  if (!found) return null;
  const app = {
    name: bot().name, shown: `@${bot().name}`, insert: `@${bot().name} `, words: "app", person: bot().user_id,
  };
  const people = cast().map((one) => ({
    name: handle(one.id), also: one.real_name, shown: `@${handle(one.id)}`, insert: `@${handle(one.id)} `,
    words: one.title || one.real_name, person: one.id,
  }));
  return offered(before.length - found[1].length - 1, found[1], [app, ...people]);
}

/** The command a text begins with, once its name is complete: its usage is worth showing while one goes on typing. */
export function commandOf(text) {
  const name = /^(\/\S+)\s/.exec(text)?.[1];
  return name && commands().find(({ command }) => command === name);
}
