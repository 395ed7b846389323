// How a sample came about, as its provenance tells it: folded, all of it plain text.

import { element } from "./card.js";
import { showText } from "./text.js";

const ASPECTS = { general: "In general", objects: "Objects", context: "Context", task_ideas: "Ideas for tasks" };
const FIELDS = { instruction: "Instruction", query_text: "Query", positive_text: "Positive", negative_text: "Hard negative" };
const CRITERIA = ["relevance", "plausibility", "clarity", "diversity"];

/**
 * Offers the folded part of a card, and fills it when it is opened.
 *
 * @param fetchRecord Asks the server for the record; null where it tells none.
 */
export function offerProvenance(details, body, isOffered, fetchRecord) {
  details.hidden = !isOffered;
  details.open = false;
  body.replaceChildren();
  details.ontoggle = async () => {
    if (!details.open || body.childElementCount) return;
    body.replaceChildren(element("p", "ps-dim", "Opening …"));
    const record = await fetchRecord();
    body.replaceChildren(...(record ? parts(record) : [element("p", "ps-dim", "Nothing is known of how it came about.")]));
  };
}

function parts(record) {
  return [
    ...(record.interpretations ?? []).map((seen) => part("What the teacher saw: " + seen.image,
      Object.entries(ASPECTS).map(([aspect, label]) => [label, seen[aspect]]))),
    part("Draft", Object.entries(FIELDS).map(([field, label]) => [label, record.draft?.[field]])),
    evaluation("The teacher's evaluation", record.evaluation),
    evaluation("A judge's evaluation" + (record.judge_model ? " · " + record.judge_model : ""), record.judge),
    part("Revision", Object.entries(FIELDS).map(([field, label]) => [label, record.revision?.[field]])),
    part("Language, by identifier", (record.language_votes ?? []).map((vote) =>
      [vote.field + " · " + vote.identifier, vote.detected ?? "abstained"])),
    part("Images", (record.images ?? []).map((image) => [image.role, image.source + " · " + image.licence])),
    part("Made by", [["Teacher", record.teacher_model], ["Length", record.length], ["Difficulty", record.difficulty],
      ["Register", record.text_register], ["Task idea", record.task_idea]]),
  ].filter(Boolean);
}

function evaluation(title, found) {
  if (!found) return null;
  return part(title, [
    ...CRITERIA.map((name) => [name + " · " + (found[name]?.score ?? "?") + " of 5", found[name]?.reason]),
    ["What to improve", found.improvements],
  ]);
}

function part(title, entries) {
  const told = entries.filter(([, text]) => text !== null && text !== undefined && text !== "");
  if (!told.length) return null;
  const section = element("section");
  const list = element("dl");
  for (const [label, text] of told) {
    const value = element("dd");
    value.dir = "auto";
    showText(value, String(text));
    list.append(element("dt", "", label), value);
  }
  section.append(element("h4", "", title), list);
  return section;
}
