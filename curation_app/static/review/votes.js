// What others hold of a sample: their verdicts for a lead to settle, and a change that came while one looked.

import { at, element, fieldName } from "./card.js";
import { showText } from "./text.js";
import { showDiff } from "./words.js";

const KINDS = { accept: "accepted", reject: "rejected", edit: "edited and accepted", skip: "skipped", flag: "flagged", adjudicate: "decided" };
const MARKS = { accept: "good", reject: "bad" };

/** Who said what and why, one entry a reviewer. @param labelOf Label of a reason's code. */
export function showVotes(holder, card, published, labelOf) {
  const votes = card.votes ?? [];
  holder.hidden = !votes.length;
  holder.replaceChildren(element("h3", "", "Who said what"), ...votes.map((vote) => {
    const entry = element("article", "ps-vote");
    const head = element("p", "ps-vote-head");
    head.append(element("strong", "", vote.reviewer), element("span", "ps-verdict ps-verdict-" + (vote.verdict ?? "skip"), words(vote)));
    entry.append(head);
    const facets = Object.entries(vote.facets).map(([facet, mark]) => facet + " " + MARKS[mark]);
    const said = [...vote.reasons.map(labelOf), ...facets].join(" · ");
    if (said) entry.append(element("p", "ps-dim", said));
    if (vote.note) entry.append(text("p", "ps-vote-note", vote.note));
    entry.append(...changes(published, vote.edits, card.language));
    return entry;
  }));
}

/**
 * Says that somebody changed a sample while it was looked at, and shows how.
 *
 * @param change The event that came between: `{ reviewer, kind, verdict, reasons, note }`, or null.
 * @param before Texts as they were looked at. @param after Texts that stand now.
 */
export function showConflict(holder, { change, before, after, hasDraft, language }, labelOf) {
  holder.hidden = false;
  const who = change ? change.reviewer + " " + words(change) + " this while you looked at it." : "This changed while you looked at it.";
  holder.replaceChildren(element("p", "ps-conflict-what", who + " Nothing of yours was stored."));
  if (change?.reasons?.length) holder.append(element("p", "ps-dim", change.reasons.map(labelOf).join(" · ")));
  if (change?.note) holder.append(text("p", "ps-vote-note", change.note));
  holder.append(...changes(before, after, language));
  holder.append(element("p", "ps-dim", hasDraft
    ? "Your own text is kept: press E to see it on top of this one."
    : "Look at it again, then decide."));
}

function changes(before, after, language) {
  return fieldsOf(after).filter((field) => at(after, field) !== null && at(after, field) !== at(before, field)).map((field) => {
    const change = element("div", "ps-change");
    const shown = element("p", "ps-text");
    showDiff(shown, at(before, field), at(after, field), field === "instruction" ? "en" : language);
    change.append(element("span", "ps-label", fieldName(field)), shown);
    return change;
  });
}

function fieldsOf(texts) {
  if (!texts) return [];
  return Object.entries(texts).flatMap(([field, value]) => {
    if (value === null || value === undefined) return [];
    return Array.isArray(value) ? value.map((_, index) => field + "." + index) : [field];
  });
}

function words(vote) {
  return KINDS[vote.kind === "verdict" ? vote.verdict : vote.kind] ?? vote.kind;
}

function text(tag, className, content) {
  const made = element(tag, className);
  made.dir = "auto";
  showText(made, content);
  return made;
}
