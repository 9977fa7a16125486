// The parts together: each change of the state is drawn, and kept in the fragment.

const draw = () => {
  const from = filtered();
  flame.root = plant(from);
  flame.most = isDiff ? mostChange(flame.root) : 0;
  flame.zoomed = nodeAt(flame.root, state.zoom);
  state.zoom = pathTo(flame.zoomed);
  const shown = rowsUnder(from, flame.zoomed);
  const sum = (key) => shown.reduce((all, row) => all + row[key], 0);
  [table.count, table.bytes, table.change] = [sum("count"), sum("bytes"), sum("bytes") - sum("oldBytes")];
  table.groups = sorted(grouped(shown));
  drawControls();
  drawTable();
  drawFlame();
  drawSizes(shown);
};
const update = (changes) => {
  const isSort = Object.keys(changes).every((key) => key === "sort" || key === "down");
  Object.assign(state, changes);
  if (!isSort) table.limit = PAGE;
  draw();
  keep();
};

const setValue = (id, value) => { if ($(id).value !== value) $(id).value = value; };
const drawControls = () => {
  for (const [id, value] of [["by", state.by], ["weight", state.w]]) {
    for (const radio of document.querySelectorAll(`input[name=${id}]`)) radio.checked = radio.value === value;
  }
  setValue("filter", state.q);
  setValue("find", state.find);
  $("driver-filter").value = state.driver && `=${state.driver}`;
  $("tag-filter").value = state.tag && `=${state.tag}`;
  $("flip").checked = state.flip;
  $("kernel").checked = state.kernel;
  for (const button of document.querySelectorAll("#by-driver button")) {
    button.setAttribute("aria-pressed", String(button.dataset.driver === state.driver));
  }
  $("clear").hidden = !activeFilters();
  $("zoomed").hidden = !state.zoom.length;
  $("zoomed").textContent = `Only blocks under ${state.zoom.join(" › ")}.`;
};

const fill = (select, key) => {
  const values = [...new Set(rows.map((row) => row[key]))].sort();
  for (const value of values) select.append(make("option", { value: `=${value}`, text: value || "(none)" }));
};
fill($("driver-filter"), "driver");
fill($("tag-filter"), "tag");
segments("by", GROUPINGS, (by) => update({ by }));
segments("weight", WEIGHTS, (w) => update({ w }));
$("filter-form").addEventListener("submit", (event) => event.preventDefault());
$("filter").addEventListener("input", () => update({ q: $("filter").value }));
$("find").addEventListener("input", () => { state.find = $("find").value; drawFlame(); keep(); });
for (const key of ["driver", "tag"]) {
  $(`${key}-filter`).addEventListener("change", () => update({ [key]: $(`${key}-filter`).value.slice(1) }));
}
$("flip").addEventListener("change", () => update({ flip: $("flip").checked, zoom: [] }));
$("kernel").addEventListener("change", () => update({ kernel: $("kernel").checked, zoom: [] }));
$("clear").addEventListener("click", () => {
  update({ q: "", driver: "", tag: "", zoom: [] });
  $("filter").focus();
});
for (const button of document.querySelectorAll("#by-driver button")) {
  button.addEventListener("click", () => update({ driver: state.driver === button.dataset.driver ? "" : button.dataset.driver }));
}
addEventListener("resize", drawFlame);

// A link to a section scrolls there; the fragment stays with the view.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  const fragment = link && link.getAttribute("href").slice(1);
  if (!fragment || isView(fragment)) return;
  const section = $(fragment);
  if (!section) return;
  event.preventDefault();
  section.tabIndex = -1;
  section.focus({ preventScroll: true });
  section.scrollIntoView();
});
const restore = () => {
  if (location.hash && !isView(location.hash)) return;
  Object.assign(state, stateOf(location.hash));
  draw();
};
addEventListener("hashchange", restore);

// Theme: what the system says until the button says otherwise.
const theme = $("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const remembered = () => { try { return localStorage.getItem("verifier-theme"); } catch { return null; } };
let chosen = remembered();
const isDark = () => (chosen ? chosen === "dark" : system.matches);
const paint = () => {
  if (chosen) document.documentElement.dataset.theme = chosen;
  theme.textContent = isDark() ? "Light theme" : "Dark theme";
};
theme.hidden = false;
theme.addEventListener("click", () => {
  chosen = isDark() ? "light" : "dark";
  try { localStorage.setItem("verifier-theme", chosen); } catch { /* a page from a file may have no storage */ }
  paint();
});
system.addEventListener("change", paint);
paint();

// Tables of the page's own markup whose columns sort.
const sortValue = (cell, isNumber) => {
  const title = isNumber && cell.querySelector("[title]");
  const words = title ? title.title : cell.textContent;
  return isNumber ? parseFloat(words.replace(/,/g, "")) || 0 : words.toLowerCase();
};
for (const sortable of document.querySelectorAll("table.sortable")) {
  const heads = [...sortable.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    const button = make("button", { type: "button", text: head.textContent });
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const isNumber = head.classList.contains("n");
      const down = head.ariaSort === "none" ? isNumber : head.ariaSort === "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      const value = (line) => sortValue(line.cells[at], isNumber);
      const order = (a, b) => (a < b ? -sign : a > b ? sign : 0);
      sortable.tBodies[0].append(...[...sortable.tBodies[0].rows].sort((a, b) => order(value(a), value(b))));
    });
  });
}

// On paper everything is open.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("main > section > details:not([open])")];
  for (const one of opened) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of opened) one.open = false;
});

for (const id of ["filter-form", "leaks", "flame-bar", "flame-hint"]) $(id).hidden = false;
$("flame-legend").textContent = isDiff
  ? "Red frames hold more than before, blue ones less; the stronger the color, the larger the change. What the later dump does not hold has no width: choose “before” to see it."
  : "Blue frames are of the kernel, all others of drivers.";
Object.assign(state, stateOf(isView(location.hash) ? location.hash : ""));
draw();
