// Clicks and keys, on their way to the page's acts; what has the focus says which of them a key may be.

import { images } from "./card.js";
import { FACETS } from "./facets.js";
import { actOf, digitOf, isPlain, markOf } from "./keys.js";

/** Has a page act on clicks, choices and keys. */
export function listen(page) {
  page.root.addEventListener("click", (event) => onClick(page, event));
  page.root.addEventListener("change", (event) => onChoice(page, event.target));
  document.addEventListener("keydown", (event) => onKey(page, event));
}

function onClick(page, event) {
  const tab = event.target.closest("[data-status]");
  if (tab) return page.setFilter("status", tab.dataset.status);
  const button = event.target.closest("[data-act],[data-mark]");
  if (!button) return undefined;
  // Or the space bar, meant to scroll, would press it again on a card that nobody has read.
  if (event.detail > 0) button.blur();
  if (button.dataset.facet) return page.facets.toggle(button.dataset.facet, button.dataset.mark);
  if (button.dataset.act === "zoom") {
    return page.openZoom(images(page.view.slots.card).findIndex(({ frame }) => frame === button));
  }
  return button.dataset.act && page.run(button.dataset.act);
}

function onChoice(page, select) {
  const filter = select.dataset?.filter;
  if (!filter) return undefined;
  // A select that kept the focus would take the next verdict's key as a choice of its own.
  select.blur();
  page.view.slots.card.focus({ preventScroll: true });
  return page.setFilter(filter, select.value);
}

function onKey(page, event) {
  if (!page.root.isConnected) return undefined; // another page of the app is shown
  const dialog = page.view.openDialog();
  if (dialog) return onDialogKey(page, dialog, event);
  if (page.mode === "editing") return onEditKey(page, event);
  if (page.mode === "why") return onWhyKey(page, event);
  if (page.mode === "reading" && page.card && onCardKey(page, event)) return event.preventDefault();
  const act = actOf(event);
  if (!act) return undefined;
  event.preventDefault();
  return page.run(act);
}

/** Keys that answer a queue's question or mark a facet; true where it was one. */
function onCardKey(page, event) {
  if (page.task) return isPlain(event) && page.task.onKey(event);
  const marked = markOf(event);
  if (!marked || !FACETS[marked.index]) return false;
  page.facets.toggle(FACETS[marked.index][0], marked.mark);
  return true;
}

function onEditKey(page, event) {
  const isSave = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (!isSave && (event.key !== "Escape" || event.isComposing)) return undefined;
  event.preventDefault();
  return page.run(isSave ? "save" : "cancel");
}

function onWhyKey(page, event) {
  const isConfirm = event.key === "Enter" && !event.isComposing && !event.shiftKey && event.target.tagName !== "BUTTON";
  const isCancel = event.key === "Escape" && !event.isComposing;
  const digit = digitOf(event);
  const act = isConfirm ? "confirm" : isCancel ? "cancel-why" : actOf(event);
  if (digit !== null ? !page.why.toggle(digit) : !act) return undefined;
  event.preventDefault();
  return digit === null ? page.run(act) : undefined;
}

function onDialogKey(page, dialog, event) {
  const { who, zoom } = page.view.dialogs;
  if (dialog === zoom && isPlain(event) && page.zoom.onKey(event)) return event.preventDefault();
  const isDone = event.key === "Enter" && !event.isComposing && !["BUTTON", "A"].includes(event.target.tagName);
  if (!isDone || dialog === zoom) return undefined;
  event.preventDefault();
  return dialog === who ? page.reviewer.set() : dialog.close();
}
