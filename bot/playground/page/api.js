/** The page's way to the playground: what to fetch, what to do, and the live line. */

const query = (parts) => new URLSearchParams(Object.entries(parts).filter(([, value]) => value)).toString();

async function got(path, parts) {
  const answer = await fetch(`/playground/${path}?${query(parts)}`, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`The playground answered ${answer.status}.`);
  return answer.json();
}

export const fetchState = (me) => got("state", { as: me });
export const fetchMessages = async (me, channel, thread) => (await got(
  "messages", { as: me, channel, thread_ts: thread },
)).messages;

/** Does something as a person; always an object with `ok`, and a sentence in `error` where that is false. */
export async function perform(me, what, details) {
  try {
    const answer = await fetch("/playground/do", {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({
        as: me, do: what, ...details,
      }),
    });
    const said = await answer.json();
    return said.ok ? said : {
      ...said, ok: false, error: said.error || `The playground refused this (${answer.status}).`,
    };
  } catch {
    return { ok: false, error: "The playground does not answer; nothing was sent. Is it still running?" };
  }
}

const RETRY_MS = 1500;

/** The live line of one person. `heard` gets each event, `linked` whether the line stands. Returns how to hang up. */
export function listen(me, heard, linked) {
  let source = null;
  let timer = 0;
  const open = () => {
    source = new EventSource(`/playground/live?${query({ as: me })}`);
    source.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (event.type === "hello") linked(true);
      else heard(event);
    };
    source.onerror = () => {
      linked(false);
      source.close(); // our own timer, since browsers differ in when they give up
      timer = setTimeout(open, RETRY_MS);
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
