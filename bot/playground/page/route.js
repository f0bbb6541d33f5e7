/** Who is looking at what, kept in the address so that a reload or a shared link shows the same. */

import { store } from "./store.js";

const PARTS = ["as", "channel", "thread", "home", "list"];

export function read() {
  const parts = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(PARTS.map((name) => [name, parts.get(name) ?? ""]));
}

const address = (parts) =>
  `#${new URLSearchParams(PARTS.filter((name) => parts[name]).map((name) => [name, parts[name]]))}`;
const here = () => ({
  as: store.me, channel: store.channel, thread: store.thread, home: store.home ? "1" : "", list: store.list ? "1" : "",
});

/** Goes somewhere; parts that are not named stay as they are. */
export function go(parts) {
  const next = address({ ...here(), list: "", ...parts });
  if (next !== location.hash) location.hash = next;
}

/** Writes down where we are without a new entry in the history. */
export function settle() {
  const now = address(here());
  if (now !== location.hash) history.replaceState(null, "", now);
}

/** Where a message's own address leads, as parts of ours; null for any other address. */
function ofMessage({ origin, pathname, search }) {
  const found = origin === location.origin && /^\/archives\/(\w+)\/p(\d+)(\d{6})$/.exec(pathname);
  if (!found) return null;
  const [, channel, seconds, micros] = found;
  return { channel, home: "", thread: new URLSearchParams(search).get("thread_ts") || `${seconds}.${micros}` };
}

/** Links to messages of this workspace open here instead of in another tab. */
export function followOwnLinks(event) {
  const anchor = event.target.closest?.("a[href]");
  const parts = anchor && ofMessage(anchor);
  if (!parts) return;
  event.preventDefault();
  go(parts);
}

/** A page that was opened at a message's address goes on at ours. */
export function arrive() {
  const parts = ofMessage(location);
  if (parts) history.replaceState(null, "", `/${address(parts)}`);
}
