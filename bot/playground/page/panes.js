/** The panes: the channel, its thread, and the app's Home tab. */

import { act } from "./actions.js";
import { block } from "./blocks.js";
import { Composer, tryWords } from "./composer.js";
import { fill, h, icon } from "./dom.js";
import { Feed } from "./feed.js";
import { flags } from "./frame.js";
import { statusLine, statusWords } from "./message.js";
import { go } from "./route.js";
import { bot, channelName, channelOf, isDirect, statusOf, store } from "./store.js";
import { trail } from "./work.js";

const backButton = (label, parts) =>
  h(
    "button", { class: "icon-button back", type: "button", "aria-label": label, on: { click: () => go(parts) } },
    icon("back"),
  );

class ChannelPane {
  constructor() {
    this.feed = new Feed({ label: "Messages", empty: () => this.#empty() });
    this.composer = new Composer({ inThread: false });
    this.head = h("div", { class: "pane-head" });
    this.node = h(
      "main", { class: "pane channel-pane", "aria-label": "Channel" }, this.head, this.feed.node, this.composer.node,
    );
  }

  draw() {
    const channel = channelOf(store.channel);
    if (!channel || !store.feed) return;
    const print = JSON.stringify(channel);
    if (print !== this.print) {
      this.print = print;
      const picture = isDirect(channel) ? null : icon(channel.is_private ? "lock" : "hash");
      fill(this.head, backButton("Back to the channels", { list: "1" }),
        h(
          "div", { class: "pane-title" }, h("h2", {}, picture, channelName(channel.id)),
          channel.purpose ? h("p", { class: "purpose" }, channel.purpose) : null,
        ), flags(channel));
      this.node.setAttribute("aria-label", `Channel ${channelName(channel.id)}`);
    }
    this.feed.show(store.feed);
    this.composer.show(store.channel, "");
  }

  /** The first thing a newcomer sees: what to do here. */
  #empty() {
    const offers = store.state.try ?? [];
    const here = offers.filter((one) => one.channel === store.channel);
    const choose = ({ channel, text }) => {
      if (channel !== store.channel) go({ channel, thread: "" });
      queueMicrotask(() => this.composer.set(text));
    };
    return h("div", { class: "welcome" }, h("img", { src: "/assets/mark.svg", alt: "", width: 44, height: 44 }),
      h("h3", {}, "Nothing here yet"),
      h(
        "p", {},
        `Begin some work with a command. ${bot().name} opens a thread for it; there you ask for a critique, and for `
          + "the final text. Then act as a reviewer, and approve it.",
      ),
      h(
        "div", { class: "welcome-tries" },
        (here.length ? here : offers).map((one) => h(
          "button", { class: "welcome-try", type: "button", on: { click: () => choose(one) } }, tryWords(one.text),
        )),
      ));
  }
}

class ThreadPane {
  constructor() {
    this.feed = new Feed({
      label: "Thread", empty: () => h("p", { class: "quiet" }, "There is no such message any more."),
    });
    this.composer = new Composer({ inThread: true });
    this.place = h("p", { class: "purpose" });
    this.trail = h("div", { class: "trail-place" });
    this.status = h("div", { class: "thread-status", role: "status", "aria-label": "What the app is doing" });
    const close = h(
      "button",
      {
        class: "icon-button close-thread", type: "button", "aria-label": "Close thread", title: "Close (Esc)",
        on: { click: () => go({ thread: "" }) },
      },
      icon("close"),
    );
    this.node = h("aside", { class: "pane thread-pane", "aria-label": "Thread", hidden: true },
      h(
        "div", { class: "pane-head" }, backButton("Back to the channel", { thread: "" }),
        h("div", { class: "pane-title" }, h("h2", {}, "Thread"), this.place), close,
      ),
      this.trail, this.feed.node, this.status, this.composer.node);
  }

  draw() {
    this.node.hidden = !store.thread || store.home;
    if (this.node.hidden || !store.replies) return;
    const channel = channelOf(store.channel);
    this.place.textContent = isDirect(channel) ? channelName(store.channel) : `#${channelName(store.channel)}`;
    fill(this.trail, trail(store.replies.messages));
    this.feed.show(store.replies);
    const status = statusOf(store.channel, store.thread);
    if (status !== this.said) fill(this.status, status ? statusLine(statusWords(status)) : null);
    this.said = status;
    this.composer.show(store.channel, store.thread);
  }
}

class HomePane {
  constructor() {
    this.body = h("div", { class: "home-body blocks" });
    this.node = h("main", { class: "pane home-pane", "aria-label": "Home", hidden: true },
      h(
        "div", { class: "pane-head" }, backButton("Back to the channels", { list: "1" }),
        h(
          "div", { class: "pane-title" }, h("h2", {}, icon("home"), "Home"),
          h("p", { class: "purpose" }, "What the app shows only to you"),
        ),
      ),
      h("div", { class: "scroller" }, this.body));
  }

  draw() {
    const view = store.homes.get(store.me);
    this.node.hidden = !store.home;
    if (!store.home || view === this.view) return;
    this.view = view;
    const use = {
      fields: [],
      click: (given, element, chosen) => act(
        "click", { view_id: view.id, block_id: given.block_id, action_id: element.action_id, ...chosen },
      ),
    };
    fill(
      this.body,
      view ? view.blocks.map((one) => block(one, use)) : h(
        "p", { class: "quiet" }, "The app has not put anything here yet.",
      ),
    );
  }
}

export const channelPane = new ChannelPane();
export const threadPane = new ThreadPane();
export const homePane = new HomePane();

export function drawPanes() {
  channelPane.node.hidden = store.home;
  channelPane.draw();
  threadPane.draw();
  homePane.draw();
  document.body.dataset.view = store.list ? "list" : store.home ? "home" : store.thread ? "thread" : "channel";
}
