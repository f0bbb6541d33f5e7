/** Faces and names. */

import { h } from "./dom.js";
import { person } from "./store.js";

const LIGHT = 0.2; // above this luminance dark letters read better than white ones

/** A person's square with their initials, or the app's mark. */
export function face(id, size = "") {
  const who = person(id);
  if (who.is_bot && id !== "USLACKBOT") return h(
    "img", { class: `face ${size}`, src: "/assets/mark.svg", alt: "", width: 36, height: 36 },
  );
  const initials = (who.real_name || who.name).split(/\s+/).slice(
    0, 2,
  ).map((part) => part[0] ?? "").join("").toUpperCase();
  const colour = /^#[0-9a-f]{6}$/i.test(who.colour ?? "") ? who.colour : "#6b726d";
  return h(
    "span",
    {
      class: `face ${size}`, colour, data: { light: luminance(colour) > LIGHT ? "" : undefined }, "aria-hidden": "true",
    },
    initials,
  );
}

function luminance(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => (parseInt(colour.slice(at, at + 2), 16) / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const ROLES = {
  requester: "asks for work", reviewer: "may approve", stranger: "may not approve", guest: "guest", member: "member",
};

export const roleWords = (who) => ROLES[who.role] ?? who.role ?? "";
export const fullName = (id) => person(id).real_name || person(id).name;
