// The card: one sample as DOM, for reading and for editing. No markup is ever made from its texts.

import { showText } from "./text.js";
import { showDiff } from "./words.js";

const ROLES = {
  query: ["Query", ""],
  positive: ["Positive", "should match"],
  negative: ["Hard negative", "should not match"],
  left: ["Left", "does it match?"],
  right: ["Right", "does it match?"],
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
  const panels = card.sides.map((side) => sidePanel(card, side, texts, changed));
  const negatives = panels.filter((panel) => panel.classList.contains("ps-negative"));
  slots.sides.replaceChildren(...panels.filter((panel) => !negatives.includes(panel)), ...strip(negatives));
  slots.sides.style.setProperty("--sides", slots.sides.childElementCount);
}

/** One hard negative as it is; several in a strip that scrolls by itself. */
function strip(negatives) {
  if (negatives.length < 2) return negatives;
  const made = element("div", "ps-strip");
  made.tabIndex = 0;
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", negatives.length + " hard negatives; scroll with the arrow keys");
  negatives.forEach((panel, index) => {
    panel.querySelector("h3").firstChild.textContent += " " + (index + 1) + " of " + negatives.length;
  });
  made.append(...negatives);
  return [made];
}

/** Turns the card's texts into text areas that hold `texts`, each with what it changes in the published text. */
export function editCard(root, card, texts) {
  const published = publishedTexts(card);
  for (const holder of root.querySelectorAll("[data-field]")) {
    const field = holder.dataset.field;
    const area = element("textarea", "ps-area");
    area.value = at(texts, field) ?? "";
    area.dir = "auto";
    area.lang = holder.lang;
    area.maxLength = 20000;
    area.dataset.edits = field;
    area.dataset.published = at(published, field) ?? "";
    area.setAttribute("aria-label", holder.dataset.name);
    const problem = element("p", "ps-problem");
    problem.id = "ps-problem-" + field.replace(".", "-");
    problem.hidden = true;
    area.setAttribute("aria-describedby", problem.id);
    const changes = element("div", "ps-changes");
    changes.append(element("span", "ps-label", "Published, and what you change"), element("p", "ps-text"));
    holder.replaceChildren(area, problem, changes);
    showChanges(area);
  }
}

/** Shows below a text area how its text differs from the published one; nothing where it does not. */
export function showChanges(area) {
  const changes = area.parentElement.querySelector(".ps-changes");
  const published = area.dataset.published.replace(/\r\n?/g, "\n"); // as a text area holds it
  changes.hidden = area.value === published;
  if (!changes.hidden) showDiff(changes.querySelector(".ps-text"), published, area.value, area.lang);
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

/** The texts that stand: the latest edit's, or the published ones. */
export function standingTexts(card) {
  return card.edited?.texts ?? publishedTexts(card);
}

/** One text of a sample's, by a field's name such as `negative_texts.0`. */
export function at(texts, name) {
  const [field, index] = name.split(".");
  return index === undefined ? texts[field] : texts[field]?.[Number(index)];
}

/** What a field is called on the card. */
export function fieldName(field) {
  const [name, index] = field.split(".");
  if (name === "instruction") return "Instruction";
  if (name === "negative_texts") return ROLES.negative[0] + (index === undefined || index === "0" ? "" : " " + (Number(index) + 1));
  return ROLES[name.split("_")[0]][0];
}

export function publishedTexts(card) {
  const texts = { instruction: card.instruction, negative_texts: [] };
  for (const side of card.sides) {
    if (side.role === "negative") texts.negative_texts.push(side.text);
    else texts[side.role + "_text"] = side.text;
  }
  return texts;
}

/** The card's images: name and address at their original size, in reading order. */
export function images(root) {
  return Array.from(root.querySelectorAll(".ps-picture:not(.ps-broken)"), (frame) => ({
    frame, name: frame.dataset.name, address: new URL(frame.dataset.full, document.baseURI).href,
  }));
}

function chips(card) {
  const language = element("span", "ps-chip ps-chip-language", card.language_name);
  language.append(element("span", "ps-code", card.language));
  if (card.is_rtl) language.append(element("span", "ps-code", "right to left"));
  const task = element("span", "ps-chip", taskWords(card.task_type));
  const modality = element("span", "ps-chip", modalityWords(card.modality));
  modality.title = card.modality;
  const split = card.split ? [element("span", "ps-chip ps-chip-faint", card.split)] : [];
  return [language, task, modality, ...split];
}

function sidePanel(card, side, texts, changed) {
  const panel = element("section", "ps-side ps-" + side.role);
  if (side.role === "left" || side.role === "right") panel.classList.add("ps-candidate");
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
    if (!panel.classList.contains("ps-candidate")) holder.dataset.field = index === null ? field : field + "." + index;
    holder.dataset.name = index ? name + " " + (index + 1) : name;
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
  before.append(element("summary", "", "Edited" + (by ? " by " + by : "") + " · what was published"));
  const change = element("p", "ps-text");
  showDiff(change, original, text, lang);
  before.append(change);
  holder.append(before);
}

function picture(side, name) {
  const frame = element("button", "ps-picture");
  frame.type = "button";
  frame.dataset.act = "zoom";
  frame.dataset.full = side.full;
  frame.dataset.name = name;
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
