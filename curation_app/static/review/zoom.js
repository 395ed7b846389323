// Images at their original size: zoomed, moved, and two side by side under one movement.

import { element } from "./card.js";

const STEP = 1.25;
const PAN_PX = 80;
const SCALES = [0.02, 16];
/** Small drawings are enlarged at most so much to fit: larger, they only blur. */
const MAX_FIT = 3;

export class Zoom {
  /** @param dialog The dialog. @param slots Its parts: `zoom-stage`, `zoom-scale`, `zoom-compare`, `zoom-next`. */
  constructor(dialog, slots) {
    this.dialog = dialog;
    this.slots = slots;
    this.stage = slots["zoom-stage"];
    this.images = [];
    this.first = 0;
    this.isComparing = false;
    dialog.addEventListener("click", (event) => {
      const asked = event.target.closest("[data-zoom]")?.dataset.zoom;
      if (asked) this.run(asked);
    });
    this.stage.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.onDrag(event));
  }

  /** Opens on one of a card's images: `{ name, address }`, addresses of the originals. */
  open(images, first) {
    this.images = images;
    this.first = first;
    this.isComparing = false;
    this.slots["zoom-compare"].hidden = this.slots["zoom-next"].hidden = images.length < 2;
    this.dialog.showModal();
    this.show();
    this.stage.focus();
  }

  /** A key press; true where it was one of the zoom's. */
  onKey({ key }) {
    const pans = { ArrowLeft: [PAN_PX, 0], ArrowRight: [-PAN_PX, 0], ArrowUp: [0, PAN_PX], ArrowDown: [0, -PAN_PX] };
    const acts = { "+": "in", "=": "in", "-": "out", "0": "fit", "1": "original", c: "compare", n: "next" };
    const act = acts[key.toLowerCase()];
    if (pans[key]) this.pan(...pans[key]);
    else if (act) this.run(act);
    else return false;
    return true;
  }

  run(act) {
    if (act === "in") return this.scaleBy(STEP);
    if (act === "out") return this.scaleBy(1 / STEP);
    if (act === "fit") return this.fit();
    if (act === "original") return this.scaleTo(1);
    if (this.images.length < 2) return undefined;
    if (act === "compare") this.isComparing = !this.isComparing;
    else this.first = (this.first + 1) % this.images.length;
    return this.show();
  }

  show() {
    const chosen = [this.first, ...(this.isComparing ? [(this.first + 1) % this.images.length] : [])];
    this.slots["zoom-compare"].setAttribute("aria-pressed", String(this.isComparing));
    this.views = chosen.map((index) => {
      const figure = element("figure", "ps-zoom-view");
      const image = element("img");
      image.alt = this.images[index].name;
      image.draggable = false;
      image.addEventListener("load", () => this.fit());
      image.addEventListener("error", () => figure.replaceChildren(element("p", "ps-broken-text", "This image cannot be shown.")));
      image.src = this.images[index].address;
      figure.append(image, element("figcaption", "", this.images[index].name));
      return { figure, image };
    });
    this.stage.replaceChildren(...this.views.map(({ figure }) => figure));
    this.x = this.y = 0;
    this.fit();
  }

  /** Each image as large as the view, under one scale for both. */
  fit() {
    this.x = this.y = 0;
    const scales = this.views
      .filter(({ image }) => image.naturalWidth)
      .map(({ figure, image }) => Math.min(figure.clientWidth / image.naturalWidth, figure.clientHeight / image.naturalHeight, MAX_FIT));
    this.scale = scales.length ? Math.min(...scales) : 1;
    this.place();
  }

  scaleBy(factor) {
    this.scaleTo(this.scale * factor);
  }

  /** Scales about the middle of the view; 1 shows one image pixel as one CSS pixel. */
  scaleTo(scale) {
    const next = Math.min(SCALES[1], Math.max(SCALES[0], scale));
    this.x *= next / this.scale;
    this.y *= next / this.scale;
    this.scale = next;
    this.place();
  }

  pan(x, y) {
    this.x += x;
    this.y += y;
    this.place();
  }

  place() {
    for (const { image } of this.views) {
      image.style.transform = "translate(-50%, -50%) translate(" + this.x + "px, " + this.y + "px) scale(" + this.scale + ")";
    }
    this.slots["zoom-scale"].textContent = Math.round(this.scale * 100) + " %";
  }

  onWheel(event) {
    event.preventDefault();
    this.scaleBy(event.deltaY < 0 ? STEP : 1 / STEP);
  }

  onDrag(event) {
    if (event.button !== 0) return;
    this.stage.setPointerCapture(event.pointerId);
    let { clientX, clientY } = event;
    const move = (next) => {
      this.pan(next.clientX - clientX, next.clientY - clientY);
      ({ clientX, clientY } = next);
    };
    const end = () => {
      this.stage.removeEventListener("pointermove", move);
      this.stage.removeEventListener("pointerup", end);
      this.stage.removeEventListener("pointercancel", end);
    };
    this.stage.addEventListener("pointermove", move);
    this.stage.addEventListener("pointerup", end);
    this.stage.addEventListener("pointercancel", end);
  }
}
