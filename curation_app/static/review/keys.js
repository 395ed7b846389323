// From a key press to an act; typing in a field is never one.

const ACTS = {
  a: "accept", r: "reject", e: "edit", s: "skip", u: "undo", f: "flag", n: "next", p: "previous",
  g: "guidelines", z: "zoom-first", "?": "help",
};
const ARROWS = { ArrowRight: "next", ArrowLeft: "previous" };

/** The act a key press asks for, or null. */
export function actOf(event) {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return null;
  if (isTyping(event)) return null;
  return ARROWS[event.key] ?? ACTS[letter(event)] ?? null;
}

/** The facet a digit key marks, from 0, and its mark: bad, or good with Shift; null for another key. */
export function markOf(event) {
  const index = digitOf(event);
  return index === null ? null : { index, mark: event.shiftKey ? "accept" : "reject" };
}

/** Number of the reason a digit key stands for, from 0, or null. */
export function digitOf(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event)) return null;
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code)?.[1];
  return digit === undefined ? null : (Number(digit) + 9) % 10;
}

/** Whether a key press is neither typing nor part of a shortcut of the browser's. */
export function isPlain(event) {
  return !(event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event));
}

function isTyping(event) {
  const target = event.composedPath()[0];
  return target instanceof Element && target.closest("input:not([type=checkbox]),textarea,select,[contenteditable=true]") !== null;
}

// On Arabic or Cyrillic layouts the letter is no Latin one; the key's place still is.
function letter(event) {
  const key = event.key.toLowerCase();
  if (/^[a-z?]$/.test(key)) return key;
  return /^Key([A-Z])$/.exec(event.code)?.[1].toLowerCase() ?? key;
}
