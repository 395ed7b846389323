// Text of a dataset as DOM: always text nodes; characters nobody can see become chips.

const NAMES = new Map([
  [0x00ad, "SHY"], [0x061c, "ALM"], [0x200b, "ZWSP"], [0x200c, "ZWNJ"], [0x200d, "ZWJ"],
  [0x200e, "LRM"], [0x200f, "RLM"], [0x202a, "LRE"], [0x202b, "RLE"], [0x202c, "PDF"],
  [0x202d, "LRO"], [0x202e, "RLO"], [0x2060, "WJ"], [0x2066, "LRI"], [0x2067, "RLI"],
  [0x2068, "FSI"], [0x2069, "PDI"], [0xfeff, "BOM"],
]);
// Signs of the category "format" that are drawn: Arabic number signs and the like.
const DRAWN = /[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2]/u;
// Writing that is joined, or kept apart, by ZWJ and ZWNJ: beside one of these signs a joiner belongs there.
const JOINING = [
  "Arabic", "Syriac", "Mongolian", "Nko", "Adlam", "Hanifi_Rohingya", "Thaana", "Devanagari", "Bengali", "Gurmukhi", "Gujarati",
  "Oriya", "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala", "Tibetan", "Myanmar", "Khmer", "Thai", "Lao", "Balinese", "Javanese",
];
const JOINED = new RegExp("[" + JOINING.map((script) => "\\p{Script=" + script + "}").join("") +
  "\\p{Mn}\\p{Mc}\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\ufe0f]", "u");
// Writing without spaces, whose words ZWSP divides.
const SPACELESS = /[\p{Script=Khmer}\p{Script=Lao}\p{Script=Thai}\p{Script=Myanmar}\p{Script=Tai_Le}\p{Script=New_Tai_Lue}\p{Script=Tai_Tham}\p{Script=Tibetan}]/u;
// Directional marks act on their surroundings without reordering them: shown and kept.
const KEPT = new Set([0x061c, 0x200e, 0x200f]);
// Flags of regions are written with invisible tag characters.
const UNSEEN = /(\u{1f3f4}[\u{e0020}-\u{e007e}]+\u{e007f})|([\p{Cf}\p{Cc}\u2028\u2029])/gu;

/** Replaces what `element` holds by `text`. */
export function showText(element, text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(UNSEEN)) {
    const sign = match[2];
    if (!sign || sign === "\n" || sign === "\t" || DRAWN.test(sign) || joins(text, match.index, sign)) continue;
    parts.push(text.slice(end, match.index), chip(sign));
    end = match.index + (KEPT.has(sign.codePointAt(0)) ? 0 : sign.length);
  }
  element.replaceChildren(...parts.filter((part) => part !== ""), text.slice(end));
}

/** Whether a sign without width is one its writing needs, by the signs on either side. */
function joins(text, index, sign) {
  const needs = sign === "\u200b" ? SPACELESS : sign === "\u200c" || sign === "\u200d" ? JOINED : null;
  if (needs === null) return false;
  const before = Array.from(text.slice(Math.max(0, index - 2), index)).pop() ?? "";
  const after = Array.from(text.slice(index + 1, index + 3))[0] ?? "";
  return needs.test(before) || needs.test(after);
}

function chip(sign) {
  const code = sign.codePointAt(0);
  const number = "U+" + code.toString(16).toUpperCase().padStart(4, "0");
  const element = document.createElement("span");
  element.className = "ps-unseen";
  element.textContent = NAMES.get(code) ?? number;
  element.title = "Invisible character " + number;
  return element;
}
