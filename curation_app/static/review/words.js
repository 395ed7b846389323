// What changed between two texts, word by word, as DOM: text nodes in <del> and <ins>, never markup.

import { showText } from "./text.js";

/** Beyond this many word pairs, only what lies between the common beginning and end is marked. */
const MAX_PAIRS = 4_000_000;

/** Parts of a text that stay, go and come, in reading order: `{ kind: "same" | "gone" | "new", text }`. */
export function wordDiff(before, after, lang) {
  const old = words(before, lang);
  const now = words(after, lang);
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start++;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end++;
  const middle = between(old.slice(start, old.length - end), now.slice(start, now.length - end));
  return joined([
    ...old.slice(0, start).map((text) => ({ kind: "same", text })),
    ...middle,
    ...old.slice(old.length - end).map((text) => ({ kind: "same", text })),
  ]);
}

/** Shows in `holder` how `before` became `after`. */
export function showDiff(holder, before, after, lang) {
  holder.dir = "auto";
  holder.lang = lang;
  holder.replaceChildren(...wordDiff(before ?? "", after ?? "", lang).map(({ kind, text }) => {
    const part = document.createElement(kind === "gone" ? "del" : kind === "new" ? "ins" : "span");
    showText(part, text);
    return part;
  }));
}

function words(text, lang) {
  try {
    return Array.from(new Intl.Segmenter(lang || undefined, { granularity: "word" }).segment(text), (part) => part.segment);
  } catch {
    return text.split(/(\s+)/u).filter(Boolean); // a language code the browser does not know
  }
}

/** The longest common subsequence of two word lists, spelt out. */
function between(old, now) {
  if (old.length * now.length > MAX_PAIRS || !old.length || !now.length) {
    return [...old.map((text) => ({ kind: "gone", text })), ...now.map((text) => ({ kind: "new", text }))];
  }
  const width = now.length + 1;
  const lengths = new Uint32Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      lengths[i * width + j] = old[i] === now[j]
        ? lengths[(i + 1) * width + j + 1] + 1
        : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  const parts = [];
  let i = 0;
  let j = 0;
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      parts.push({ kind: "same", text: old[i++] });
      j++;
    } else if (j >= now.length || (i < old.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
      parts.push({ kind: "gone", text: old[i++] });
    } else parts.push({ kind: "new", text: now[j++] });
  }
  return parts;
}

function joined(parts) {
  const runs = [];
  for (const part of parts) {
    if (runs.at(-1)?.kind === part.kind) runs.at(-1).text += part.text;
    else runs.push({ ...part });
  }
  return runs;
}
