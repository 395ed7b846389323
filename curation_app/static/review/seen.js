// Whether a card was seen: painted, with its images or the reason why they fail, for long enough.

const SMALL = "(max-width: 760px)";
/** Share of a side, or of the window, that must have been in view. */
const VIEWED_SHARE = 0.6;
const THRESHOLDS = Array.from({ length: 11 }, (_, tenth) => tenth / 10);

export class Seen {
  /**
   * @param root The page; it carries `data-seen` once a verdict counts.
   * @param onChange Called when that changes, and when a part comes into view on a small screen.
   */
  constructor(root, onChange) {
    this.root = root;
    this.onChange = onChange;
    this.minMs = 0;
    this.number = 0;
    this.paintedAt = null;
    this.unviewed = new Set();
    this.observer = null;
    this.hiddenMs = 0;
    this.hiddenAt = null;
    document.addEventListener("visibilitychange", () => this.onVisibility());
  }

  /** Begins anew with the card that has just been put into the page. */
  async begin(card) {
    const number = ++this.number;
    this.paintedAt = null;
    this.root.removeAttribute("data-seen");
    this.watch(card);
    this.onChange();
    const isPast = () => number !== this.number;
    await Promise.all(Array.from(card.querySelectorAll(".ps-picture"), settled));
    if (isPast()) return;
    await painted();
    if (isPast()) return;
    this.paintedAt = performance.now();
    this.hiddenMs = 0;
    this.hiddenAt = document.hidden ? this.paintedAt : null;
    setTimeout(() => {
      if (isPast()) return;
      this.root.setAttribute("data-seen", "");
      this.onChange();
    }, this.minMs);
  }

  /** Milliseconds the card has been before the reviewer's eyes; null before it was painted. */
  msActive() {
    if (this.paintedAt === null) return null;
    const away = this.hiddenAt === null ? 0 : performance.now() - this.hiddenAt;
    return Math.max(0, Math.round(performance.now() - this.paintedAt - this.hiddenMs - away));
  }

  /** Why no verdict may be given yet, or null. */
  problem() {
    if (this.root.hasAttribute("data-seen")) return null;
    return this.paintedAt === null ? "the card is not yet shown" : "the card has only just been shown";
  }

  /** What a small screen has not shown of the card, or null; an accept waits for it. */
  unviewedWords() {
    if (!matchMedia(SMALL).matches || !this.unviewed.size) return null;
    const names = Array.from(this.unviewed, (side) => side.querySelector("h3").firstChild.textContent.toLowerCase());
    return "the " + [...new Set(names)].join(" and the ");
  }

  watch(card) {
    this.observer?.disconnect();
    this.unviewed = new Set(card.querySelectorAll(".ps-positive, .ps-negative, .ps-candidate"));
    this.observer = new IntersectionObserver((entries) => {
      for (const { target, intersectionRatio, intersectionRect, rootBounds } of entries) {
        const isViewed = intersectionRatio >= VIEWED_SHARE || intersectionRect.height >= VIEWED_SHARE * rootBounds.height;
        if (!isViewed || !this.unviewed.delete(target)) continue;
        this.observer.unobserve(target);
        this.onChange();
      }
    }, { rootMargin: "0px 0px -120px 0px", threshold: THRESHOLDS }); // the action bar covers the foot
    for (const side of this.unviewed) this.observer.observe(side);
  }

  onVisibility() {
    if (document.hidden) this.hiddenAt ??= performance.now();
    else if (this.hiddenAt !== null) {
      this.hiddenMs += performance.now() - this.hiddenAt;
      this.hiddenAt = null;
    }
  }
}

/** Resolves when a picture shows its image, or why it cannot. */
function settled(frame) {
  const isSettled = () => frame.classList.contains("ps-ready") || frame.classList.contains("ps-broken");
  if (isSettled()) return undefined;
  return new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (!isSettled()) return;
      observer.disconnect();
      resolve();
    });
    observer.observe(frame, { attributes: true, attributeFilter: ["class"] });
  });
}

/** Resolves when what is in the page now has been painted: the second frame follows a paint. */
function painted() {
  return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
}
