// Whether this browser can draw a text: a letter without a font is drawn as the box of an unassigned one.

const SIDE = 24;
const MAX_LETTERS = 12;
/** Assigned to no character, so that every font draws its box, or nothing, for it. */
const UNASSIGNED = "\u0378";

const known = new Map();
let pen = null;

/** The languages' script is not drawn: the share of a text's letters that are only boxes is a half or more. */
export function lacksFont(texts) {
  const letters = new Set(Array.from(texts.join("")).filter((sign) => /[\p{L}]/u.test(sign) && sign > "\u024f"));
  const tried = Array.from(letters).slice(0, MAX_LETTERS);
  return tried.length > 0 && 2 * tried.filter((letter) => !isDrawn(letter)).length >= tried.length;
}

function isDrawn(letter) {
  if (!known.has(letter)) known.set(letter, picture(letter) !== picture(UNASSIGNED));
  return known.get(letter);
}

function picture(letter) {
  pen ??= makePen();
  pen.clearRect(0, 0, SIDE, SIDE);
  pen.fillText(letter, 2, SIDE - 6);
  return pen.getImageData(0, 0, SIDE, SIDE).data.filter((_, index) => index % 4 === 3).join();
}

function makePen() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.font = "16px " + getComputedStyle(document.querySelector(".ps")).fontFamily;
  return context;
}
