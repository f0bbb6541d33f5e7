/** What this page knows: the workspace's state, who is looking, and the messages of the two open conversations. */

export const store = {
  state: null, // GET /playground/state, as it came
  me: "",
  channel: "",
  thread: "", // ts of the open thread's root
  home: false, // the app's Home tab instead of a channel
  list: false, // on a narrow screen: the list of channels instead of a channel
  link: "opening", // opening, open, broken
  feed: null, // the channel's Conversation
  replies: null, // the thread's Conversation
  statuses: new Map(), // "channel thread_ts" -> words of assistant.threads.setStatus
  unread: new Map(), // channel -> messages that came while it was not open
  views: [], // the person's open modals, the newest last
  homes: new Map(), // person -> view of the Home tab
  drafts: new Map(), // "person channel thread" -> unsent text
};

const NOBODY = { id: "", name: "somebody", real_name: "Somebody", role: "", colour: "#6b726d" };

export function person(id) {
  const bot = store.state?.bot;
  const found = store.state?.people.find((one) => one.id === id);
  if (bot && id === bot.user_id) return { ...NOBODY, ...found, id, name: bot.name, real_name: bot.name, is_bot: true };
  if (id === "USLACKBOT") return { ...NOBODY, id, name: "slackbot", real_name: "Slackbot", is_bot: true };
  return found ?? { ...NOBODY, id, name: id || "somebody", real_name: id || "Somebody" };
}

/** Those a person at this page may be. */
export const cast = () => (store.state?.people ?? []).filter((one) => !one.is_bot && !one.deleted);

/** What stands behind the @: the first name where that is the name, else the name. */
export function handle(id) {
  const { name, real_name: real = "" } = person(id);
  const first = real.split(" ")[0];
  return first.toLowerCase() === name.toLowerCase() ? first : name;
}

export const channelOf = (id) => store.state?.channels.find((one) => one.id === id);

export function channelName(id) {
  const channel = channelOf(id);
  if (channel?.name) return channel.name;
  return isDirect(channel, id) ? store.state?.bot?.name ?? "app" : id;
}

export const isDirect = (channel, id = channel?.id ?? "") => Boolean(channel?.is_im) || id.startsWith("D");
export const bot = () => store.state?.bot ?? { user_id: "", name: "Countersign", connected: false };
export const isBots = (message) => Boolean(message.bot_id) || message.user === bot().user_id;
export const payload = (message) => message.metadata?.event_payload ?? {};
export const isTombstone = (message) => message.subtype === "tombstone" || Boolean(message.deleted);
export const isReply = (message) => Boolean(message.thread_ts) && message.thread_ts !== message.ts;
export const rootOf = (message) => message.thread_ts || message.ts;
export const statusOf = (channel, thread) => store.statuses.get(`${channel} ${thread}`)?.text ?? "";
/** Deleted, and nothing hangs on it: a root with replies stays as its own tombstone. */
const isGone = (message) => Boolean(message.deleted) && !message.reply_count;
const forMe = (message) => !message.is_ephemeral || !message.to || message.to === store.me;

/** The messages of a channel's top level, or of one thread; kept right by events, also while they are being fetched. */
export class Conversation {
  constructor(channel, thread = "") {
    this.channel = channel;
    this.thread = thread;
    this.loaded = false;
    this.missed = new Set(); // a list for each fetch under way: the events that came meanwhile
    this.byTs = new Map();
  }

  get messages() {
    return [...this.byTs.values()].sort((one, other) => Number(one.ts) - Number(other.ts));
  }

  is(channel, thread) {
    return this.channel === channel && this.thread === thread;
  }

  holds(message) {
    if (message.channel !== this.channel || !forMe(message)) return false;
    if (this.thread) return rootOf(message) === this.thread;
    return !isReply(message) || message.subtype === "thread_broadcast";
  }

  async fill(fetching) {
    const missed = [];
    this.missed.add(missed);
    try {
      const messages = await fetching;
      this.byTs = new Map(messages.filter((one) => !isGone(one) && forMe(one)).map((one) => [one.ts, one]));
      this.loaded = true;
      missed.forEach((event) => this.#apply(event));
    } finally {
      this.missed.delete(missed);
    }
  }

  /** Applies an event; true if it changed anything to be shown here. */
  hear(event) {
    this.missed.forEach((missed) => missed.push(event));
    return this.#apply(event);
  }

  #apply(event) {
    switch (event.type) {
      case "message":
        return this.holds(event.message) ? this.#put(event.message) : this.#counted(event.message);
      case "changed":
        return this.holds(event.message) && this.#put(event.message);
      case "deleted":
        return event.channel === this.channel && this.byTs.delete(event.ts);
      case "reactions":
        return event.channel === this.channel && this.#reacted(event);
      default:
        return false;
    }
  }

  #put(message) {
    if (isGone(message)) return this.byTs.delete(message.ts);
    this.byTs.set(message.ts, message);
    return true;
  }

  #reacted({ ts, reactions }) {
    const message = this.byTs.get(ts);
    if (message) this.byTs.set(ts, { ...message, reactions });
    return Boolean(message);
  }

  /** A reply that shows here only in its root's count. The root's own change may have come first. */
  #counted(message) {
    const root = this.byTs.get(rootOf(message));
    if (message.channel !== this.channel || !root || message.is_ephemeral) return false;
    if (Number(root.latest_reply ?? 0) >= Number(message.ts)) return false;
    const users = [...new Set([...(root.reply_users ?? []), message.user])];
    this.byTs.set(
      root.ts,
      {
        ...root, thread_ts: root.ts, reply_count: (root.reply_count ?? 0) + 1, reply_users: users,
        latest_reply: message.ts,
      },
    );
    return true;
  }
}
