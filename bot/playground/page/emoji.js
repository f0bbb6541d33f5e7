/** Emoji: names to characters, and our own drawings of the ones that decide something. */

import { h, svg } from "./dom.js";

const GLYPHS = {
  white_check_mark: "✅", heavy_check_mark: "✔️", ballot_box_with_check: "☑️", x: "❌", negative_squared_cross_mark: "❎",
  leftwards_arrow_with_hook: "↩️", "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", eyes: "👀", heart: "❤️",
  tada: "🎉", rocket: "🚀", thinking_face: "🤔", slightly_smiling_face: "🙂", smile: "😄", grinning: "😀", wink: "😉",
  sweat_smile: "😅", joy: "😂", cry: "😢", confused: "😕", open_mouth: "😮", raised_hands: "🙌", clap: "👏", pray: "🙏",
  wave: "👋", ok_hand: "👌", muscle: "💪", point_right: "👉", point_up: "☝️", fire: "🔥", star: "⭐", sparkles: "✨", bulb: "💡",
  warning: "⚠️", no_entry: "⛔", question: "❓", exclamation: "❗", information_source: "ℹ️", hourglass: "⌛",
  hourglass_flowing_sand: "⏳", stopwatch: "⏱️", alarm_clock: "⏰", calendar: "📅", memo: "📝", pencil2: "✏️", books: "📚",
  page_facing_up: "📄", clipboard: "📋", pushpin: "📌", paperclip: "📎", link: "🔗", mag: "🔍", lock: "🔒", unlock: "🔓", key: "🔑",
  bell: "🔔", speech_balloon: "💬", chart_with_upwards_trend: "📈", moneybag: "💰", bug: "🐛", wrench: "🔧", hammer: "🔨", gear: "⚙️",
  package: "📦", robot_face: "🤖", arrow_right: "➡️", arrow_left: "⬅️", arrows_counterclockwise: "🔄", seedling: "🌱", coffee: "☕",
};

/** What the picker offers, the deciding ones first. */
export const PICKER = [
  "white_check_mark", "heavy_check_mark", "x", "leftwards_arrow_with_hook", "+1", "+1::skin-tone-4", "-1", "eyes", "heart",
  "tada", "hourglass_flowing_sand", "warning",
];

const NAMES = new Map(Object.entries(GLYPHS).map(([name, glyph]) => [glyph, name]));
for (const [name, glyph] of Object.entries(GLYPHS)) if (glyph.endsWith("\ufe0f")) NAMES.set(glyph.slice(0, -1), name);
const BY_LENGTH = [...NAMES.keys()].sort((one, other) => other.length - one.length);
export const CHARACTERS = new RegExp(BY_LENGTH.join("|"), "u");

const SKINS = { 2: "#f7dece", 3: "#f3d2a2", 4: "#d5ab88", 5: "#af7e57", 6: "#7c533e" };
const TONES = { 2: "🏻", 3: "🏼", 4: "🏽", 5: "🏾", 6: "🏿" };
const HAND = "M6 9.600 9.200 3.200c1.500 0 2.200 1 1.900 2.500l-.5 2.500h4.200c1.300 0 2.200 1.100 1.900 2.300l-1.100 4.600c-.3 1.100-1.100 1.700-2.200 1.700H8.200L6 15.900z";

const square = (fill) => svg("rect", { x: 1.500, y: 1.500, width: 17, height: 17, rx: 4, fill });
const stroke = (d, colour, width = 2.400) =>
  svg("path", { d, fill: "none", stroke: colour, "stroke-width": width, "stroke-linecap": "round", "stroke-linejoin": "round" });
const solid = (d, fill) => svg("path", { d, fill });
const hand = (skin, turn) => {
  const group = svg("g", turn ? { transform: "rotate(180 10 10)" } : {});
  group.append(solid(HAND, skin), svg("rect", { x: 2.500, y: 9, width: 3, height: 7.600, rx: 1, fill: "#5b7fb3" }));
  return [group];
};

// Drawn here so that they look alike everywhere, also on machines without a colour emoji font.
const DRAWINGS = {
  white_check_mark: () => [square("#2e9e5b"), stroke("m5.800 10.400 3 3 5.400-6.600", "#fff")],
  heavy_check_mark: () => [stroke("m3.500 11 4.500 4.500 8.500-11", "currentColor", 3)],
  x: () => [stroke("m4.500 4.500 11 11M15.500 4.500l-11 11", "#d8403a", 3.200)],
  leftwards_arrow_with_hook: () => [square("#3f78c4"), stroke("M8 5.800 5.200 8.500 8 11.200M5.500 8.500H12a2.700 2.700 0 0 1 0 5.400H8.500", "#fff", 1.900)],
  "+1": (tone) => hand(SKINS[tone] ?? "#f2bd3f", false),
  "-1": (tone) => hand(SKINS[tone] ?? "#f2bd3f", true),
  eyes: () => [eye(6), eye(14)].flat(),
  heart: () => [solid("M10 17C4 12.700 2 10 2 7.200 2 4.800 3.800 3.200 5.900 3.200c1.700 0 3.200.9 4.100 2.500.9-1.600 2.400-2.500 4.100-2.500C16.200 3.200 18 4.800 18 7.200c0 2.800-2 5.500-8 9.800", "#d8403a")],
  tada: () => [
    solid("m2.500 17.500 4.200-11 6.800 6.800z", "#e2a53b"), stroke("M11 7.500c.5-2 0-3.200-1-4.500", "#3f78c4", 1.600), stroke("M13 9.200c1.500-1 3-1.200 4.500-.7", "#2e9e5b", 1.600),
    ...[[14.500, 4.500, "#d8403a"], [17, 12.500, "#8b5fbf"], [6, 3.500, "#2e9e5b"]].map(([cx, cy, fill]) => svg("circle", { cx, cy, r: 1.200, fill })),
  ],
  hourglass_flowing_sand: () => [
    stroke("M5 2.500h10M5 17.500h10M6.200 3v2.500c0 2 3.800 3 3.800 4.500s-3.800 2.500-3.800 4.500V17M13.800 3v2.500c0 2-3.800 3-3.800 4.500s3.800 2.500 3.800 4.500V17", "currentColor", 1.500),
    solid("M7.700 16.500c0-1.800 2.300-2 2.300-3 0 1 2.300 1.200 2.300 3zM8 6h4c-.5 1.500-2 1.800-2 3 0-1.200-1.500-1.500-2-3z", "#e2a53b"),
  ],
  warning: () => [solid("M10 2.200 18.500 17.200h-17z", "#e8b13c"), stroke("M10 7.500v4.500M10 14.600v.01", "#3a2c06", 1.900)],
};

function eye(cx) {
  return [
    svg("ellipse", { cx, cy: 10, rx: 3.600, ry: 5.400, fill: "#fff", stroke: "#7d857f", "stroke-width": 1 }),
    svg("circle", { cx: cx - 1, cy: 11, r: 1.900, fill: "#2b2f2d" }),
  ];
}

function parts(name) {
  const [base, , skin] = name.split(/(::skin-tone-)/);
  return { base, tone: Number(skin) || 0 };
}

export const isKnown = (name) => parts(name).base in GLYPHS;
export const nameOf = (glyph) => NAMES.get(glyph);
export const spoken = (name) => name.replace("::skin-tone-", ", skin tone ").replaceAll("_", " ").replace(/^\+1/, "thumbs up").replace(/^-1/, "thumbs down");

/** The emoji of this name as a small picture with its name, or the `:name:` itself where we know no picture. */
export function emoji(name) {
  const { base, tone } = parts(name);
  const same = { thumbsup: "+1", thumbsdown: "-1" }[base] ?? base;
  const label = { class: "emoji", role: "img", "aria-label": spoken(name), title: `:${name}:` };
  if (same in DRAWINGS) return h("span", label, svg("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, ...DRAWINGS[same](tone)), h("span", { class: "glyph" }, GLYPHS[same]));
  if (base in GLYPHS) return h("span", { ...label, class: "emoji emoji-text" }, GLYPHS[base] + (TONES[tone] ?? ""));
  return h("span", { class: "emoji-name" }, `:${name}:`);
}
