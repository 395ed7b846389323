// Search results as a grid of pictures. Everything of a row is set as text or as a plain
// attribute: nothing of the dataset is parsed as markup or evaluated.

const ROLES = { query: "query", positive: "positive", negative: "hard negative" };

export function start(element, props, watch) {
  const draw = () => fill(element.querySelector("[data-slot=grid]"), props.value ?? []);
  watch("value", draw);
  draw();
}

function fill(grid, rows) {
  if (!grid) return;
  grid.replaceChildren(...rows.map(card));
}

function card(row) {
  const link = make("a", "search-card");
  link.href = new URL(`./?sample=${encodeURIComponent(row.id)}&status=all`, location.href).href;
  const pictures = make("div", "search-pictures");
  pictures.append(...row.pictures.map((picture) => figure(picture, row)));
  const about = make("div", "search-about");
  about.textContent = `${row.language} · ${row.task_type} · ${row.modality}`;
  link.append(pictures, about);
  for (const [role, text] of row.texts) {
    const line = make("div", "search-text");
    line.lang = row.language;
    line.dir = "auto";
    line.title = role;
    line.textContent = text;
    link.append(line);
  }
  return link;
}

function figure(picture, row) {
  const image = make("img", "search-picture");
  image.loading = "lazy";
  image.decoding = "async";
  image.alt = `${ROLES[picture.place.split("-")[0]] ?? ""} of ${row.id}`;
  image.addEventListener("error", () => image.classList.add("search-broken"), { once: true });
  image.src = new URL(picture.address, document.baseURI).href;
  return image;
}

function make(tag, name) {
  const made = document.createElement(tag);
  made.className = name;
  return made;
}
