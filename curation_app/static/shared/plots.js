// Names the parts of plots for screen readers: Vega draws some of them without a name.

const PARTS = 'svg :is([role="img"], [role^="graphics"])';

function nameParts() {
  for (const part of document.querySelectorAll(PARTS)) {
    if (part.getAttribute("aria-label")?.trim()) continue;
    const label = part.closest(".block")?.querySelector("label")?.textContent.trim();
    part.setAttribute("aria-label", label || "Part of a plot");
  }
}

new MutationObserver(nameParts).observe(document.body, {
  childList: true, subtree: true, attributes: true, attributeFilter: ["role"],
});
nameParts();
