/** What a thread's messages tell about the work in it: its stages so far and how each stands. */

import { h } from "./dom.js";
import { payload } from "./store.js";

/** [{stage, state}] in the order the runs were asked for; a final's state is that of its review, once there is one. */
export function stagesOf(messages) {
  const runs = new Map();
  for (const message of messages) {
    const { kind, run, stage, state } = payload(message);
    if (kind === "card" && stage) runs.set(run ?? message.ts, { stage, state });
    // A text posted again has no card of its run's; what verdicts announce stands on the review's card, too.
    else if (kind === "review" && stage && run) runs.set(run, { stage, state });
  }
  return [...runs.values()];
}

/** The state of each review in a thread, by its run: what its card says, for that is edited to match. */
export function reviewStates(messages) {
  const states = new Map();
  for (const message of messages) {
    const { kind, run, state } = payload(message);
    if (kind === "review" && run) states.set(run, state);
  }
  return states;
}

const WORDS = { changes_requested: "sent back", awaiting: "awaiting review" };
export const stateWords = (state) => WORDS[state] ?? (state ?? "").replaceAll("_", " ");

/** The trail of stages for the head of a thread; null where the thread is no work. */
export function trail(messages) {
  const stages = stagesOf(messages);
  if (!stages.length) return null;
  return h("ol", { class: "trail", "aria-label": "Stages so far" }, stages.slice(-8).map(({ stage, state }) =>
    h(
      "li", { class: "step", data: { state } }, h("span", { class: "dot", "aria-hidden": "true" }),
      h("span", { class: "step-stage" }, stage), h("span", { class: "step-state" }, stateWords(state)),
    )));
}
