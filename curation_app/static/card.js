// The card: one sample as DOM, for reading and for editing. No markup is ever made from its texts.

import { showText } from "./text.js";

const ROLES = {
  query: ["Query", ""],
  positive: ["Positive", "should match"],
  negative: ["Hard negative", "should not match"],
};
const TASKS = { classification: "Classification", vqa: "VQA", retrieval: "Retrieval" };
const AGAIN_MS = 1000;
/** Times an image may fail to load although the server has it. */
const MAX_REFUSED = 3;
const PARTS = { I: "image", T: "text", IT: "image + text" };

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** "IT->T" in words. */
export function modalityWords(modality) {
  return modality.split("->").map((side) => PARTS[side] ?? side).join(" → ");
}

export function taskWords(task) {
  return TASKS[task] ?? task;
}

/** Fills the card's slots with a sample, to be read. */
export function showCard(slots, card) {
  slots.chips.replaceChildren(...chips(card));
  slots.id.textContent = card.id.slice(0, 8);
  const texts = card.edited ? card.edited.texts : null;
  const changed = new Set(card.edited ? card.edited.fields : []);
  showField(slots.instruction, {
    field: "instruction", lang: "en", text: texts ? texts.instruction : card.instruction,
    original: changed.has("instruction") ? card.instruction : null, by: card.edited?.by,
  });
  slots.sides.replaceChildren(...card.sides.map((side) => sidePanel(card, side, texts, changed)));
  slots.sides.style.setProperty("--sides", card.sides.length);
}

/** Turns the card's texts into text areas; returns them by field, hard negatives as a list. */
export function editCard(root, card, draft) {
  const start = draft ?? card.edited?.texts ?? publishedTexts(card);
  for (const holder of root.querySelectorAll("[data-field]")) {
    const [field, index] = holder.dataset.field.split(".");
    const text = index === undefined ? start[field] : start[field]?.[Number(index)];
    const area = element("textarea", "ps-area");
    area.value = text ?? "";
    area.dir = "auto";
    area.lang = holder.lang;
    area.maxLength = 20000;
    area.dataset.edits = holder.dataset.field;
    area.setAttribute("aria-label", holder.dataset.name);
    holder.replaceChildren(area);
  }
}

/** The text areas' contents, in the shape the server takes. */
export function editedTexts(root) {
  const texts = {};
  for (const area of root.querySelectorAll("[data-edits]")) {
    const [field, index] = area.dataset.edits.split(".");
    if (index === undefined) texts[field] = area.value;
    else (texts[field] ??= [])[Number(index)] = area.value;
  }
  return texts;
}

function publishedTexts(card) {
  const texts = { instruction: card.instruction, negative_texts: [] };
  for (const side of card.sides) {
    if (side.role === "negative") texts.negative_texts.push(side.text);
    else texts[side.role + "_text"] = side.text;
  }
  return texts;
}

function chips(card) {
  const language = element("span", "ps-chip ps-chip-language", card.language_name);
  language.append(element("span", "ps-code", card.language));
  if (card.is_rtl) language.append(element("span", "ps-code", "right to left"));
  const task = element("span", "ps-chip", taskWords(card.task_type));
  const modality = element("span", "ps-chip", modalityWords(card.modality));
  modality.title = card.modality;
  const split = element("span", "ps-chip ps-chip-faint", card.split);
  return [language, task, modality, split];
}

function sidePanel(card, side, texts, changed) {
  const panel = element("section", "ps-side ps-" + side.role);
  panel.dataset.place = side.place;
  const [name, aim] = ROLES[side.role];
  const title = element("h3", "", name);
  if (aim) title.append(element("small", "", aim));
  panel.append(title);
  if (side.image) panel.append(picture(side, name));
  if (side.text !== null) {
    const index = side.role === "negative" ? Number(side.place.split("-")[1]) : null;
    const field = index === null ? side.role + "_text" : "negative_texts";
    const holder = element("div", "ps-field");
    holder.dataset.field = index === null ? field : field + "." + index;
    holder.dataset.name = name;
    const edited = texts && (index === null ? texts[field] : texts[field][index]);
    showField(holder, {
      lang: card.language, text: edited ?? side.text,
      original: changed.has(field) && edited !== side.text ? side.text : null, by: card.edited?.by,
    });
    panel.append(holder);
  }
  panel.classList.toggle("ps-wordless", side.text === null);
  panel.classList.toggle("ps-imageless", !side.image);
  return panel;
}

function showField(holder, { lang, text, original, by }) {
  holder.lang = lang;
  holder.dataset.name ??= "Instruction";
  const shown = element("p", "ps-text");
  shown.dir = "auto";
  showText(shown, text);
  holder.replaceChildren(shown);
  if (original === null) return;
  const before = element("details", "ps-before");
  before.append(element("summary", "", "Edited by " + by + " · as published"));
  const old = element("p", "ps-text");
  old.dir = "auto";
  showText(old, original);
  before.append(old);
  holder.append(before);
}

function picture(side, name) {
  const frame = element("button", "ps-picture");
  frame.type = "button";
  frame.dataset.act = "zoom";
  frame.setAttribute("aria-label", "Enlarge the image: " + name);
  const image = element("img");
  image.alt = name;
  image.decoding = "async";
  image.addEventListener("load", () => showLoaded(frame, image));
  image.addEventListener("error", () => explain(frame, image));
  image.src = new URL(side.image, document.baseURI).href;
  frame.append(image);
  return frame;
}

/** Why an image does not load: the server says it is broken, or it was the server that was away. */
async function explain(frame, image, numRefused = 0) {
  const reply = await fetch(image.src).catch(() => null);
  const isRefused = reply !== null && reply.status < 500 && (!reply.ok || numRefused >= MAX_REFUSED);
  if (isRefused) return showBroken(frame, reply.ok ? "This image cannot be shown." : await reply.text());
  await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  if (!frame.isConnected) return undefined;
  const again = image.cloneNode();
  again.addEventListener("load", () => showLoaded(frame, again));
  again.addEventListener("error", () => explain(frame, again, numRefused + (reply?.ok ? 1 : 0)));
  image.replaceWith(again);
  return undefined;
}

function showLoaded(frame, image) {
  // Small drawings are shown at up to twice their size: larger, they only blur.
  image.style.maxWidth = image.style.maxHeight = 2 * Math.max(image.naturalWidth, image.naturalHeight) + "px";
  frame.classList.add("ps-ready");
}

function showBroken(frame, why) {
  frame.classList.add("ps-broken");
  frame.disabled = true;
  frame.replaceChildren(element("span", "ps-broken-mark"), element("span", "ps-broken-text", why));
}
