/** What a person can do here; everything goes through the playground and comes back as an event. */

import { perform } from "./api.js";
import { go } from "./route.js";
import { isReply, rootOf, store } from "./store.js";
import { toast } from "./toasts.js";

/** Does it as the present person, and shows a refusal as a toast. True if it was done. */
export async function act(what, details) {
  const said = await perform(store.me, what, details);
  if (!said.ok) toast(said.error, "bad");
  return said.ok;
}

/** Says it; the refusal, if any, is the caller's to show beside its text. */
export const say = (channel, text, thread) =>
  perform(store.me, "say", { channel, text, ...(thread ? { thread_ts: thread } : {}) });

export const mine = (message, name) =>
  Boolean(message.reactions?.find((one) => one.name === name)?.users.includes(store.me));

export const toggle = (message, name) =>
  act(mine(message, name) ? "unreact" : "react", { channel: message.channel, ts: message.ts, name });

export const openThread = (message) => go({ thread: rootOf(message) });
export const runShortcut = (message, callback) => act(
  "shortcut", { callback_id: callback, channel: message.channel, ts: message.ts },
);

/** Opens the app's Home tab: the app hears of it and may publish anew; what it last published comes back at once. */
export async function openHome(me) {
  const said = await perform(me, "home", {});
  if (said.ok && said.view) store.homes.set(me, said.view);
}

export const remove = (message) => act("delete", { channel: message.channel, ts: message.ts });

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied.`);
  } catch {
    toast("The browser does not let this page use the clipboard.", "bad");
  }
}

/** A link to a message, in the form Slack gives it. */
export function permalink(message) {
  const thread = isReply(message) ? `?thread_ts=${message.thread_ts}&cid=${message.channel}` : "";
  return `${location.origin}/archives/${message.channel}/p${message.ts.replace(".", "")}${thread}`;
}
