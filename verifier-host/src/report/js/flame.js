// The flame graph: a tree from the first level down, drawn from the node that is zoomed to.

const graph = $("flame-graph");
// Pixels: what is narrower can be neither seen nor hit, and what has no room for it shows no name.
const NARROW = 3;
const NAMED = 24;
const flame = { root: null, zoomed: null };

const hashOf = (name) => {
  let hash = 7;
  for (let i = 0; i < name.length; i += 1) hash = (hash * 31 + name.charCodeAt(i)) >>> 0;
  return hash;
};
const moduleColor = (node) => {
  const hash = hashOf(node.name);
  if (node.frames.length && isKernel(node.frames[0])) return `hsl(${205 + (hash % 24)} 42% ${74 + (hash % 9)}%)`;
  if (node.name.startsWith("(") || !node.parent) return "hsl(220 8% 80%)";
  return `hsl(${18 + (hash % 30)} 78% ${68 + (hash % 11)}%)`;
};
// Red grew, blue shrank; the strongest color is the largest change of any frame.
const changeOf = (node) => (state.w.endsWith("ount") ? node.count - node.oldCount : node.bytes - node.oldBytes);
const changeColor = (node) => {
  const part = Math.sqrt(Math.abs(changeOf(node)) / (flame.most || 1));
  const light = 92 - 34 * Math.min(1, part);
  if (changeOf(node) === 0) return "hsl(220 8% 90%)";
  return changeOf(node) > 0 ? `hsl(4 85% ${light}%)` : `hsl(214 80% ${light}%)`;
};
const color = isDiff ? changeColor : moduleColor;
const mostChange = (root) => {
  const stack = [root];
  let most = 0;
  while (stack.length) {
    const node = stack.pop();
    if (node.parent) most = Math.max(most, Math.abs(changeOf(node)));
    stack.push(...node.children.values());
  }
  return most;
};

const words = (node) => {
  const lines = [...new Set(node.frames.map(lineText).filter(Boolean))].join(", ");
  const name = node.name + (lines ? ` at ${lines}` : "");
  if (isDiff) {
    const change = node.bytes - node.oldBytes;
    const more = node.count - node.oldCount;
    return `${name}: ${signed(change, sizeText(change))}, ${signed(more, blocks(more))}; ${sizeText(node.oldBytes)} before, ${sizeText(node.bytes)} after`;
  }
  const held = `${sizeText(node.bytes)} (${exact(node.bytes)}), ${blocks(node.count)}`;
  // How much more the whole has is unknown, and so are shares of it.
  if (!node.parent) return `${name}: ${known(node.count, held)}`;
  return `${name}: ${held}, ${percent(node[state.w], flame.root[state.w])}`;
};

const zoom = (node, focus) => {
  update({ zoom: pathTo(node) });
  const found = focus && [...graph.children].find((element) => element.node === flame.zoomed);
  if (found) found.focus();
};

const hitTest = () => {
  const query = state.find.trim().toLowerCase();
  if (!query) return null;
  const isHit = (node) => node.name.toLowerCase().includes(query) ||
    node.frames.some((frame) => linePath(frame).toLowerCase().includes(query));
  return isHit;
};

const drawFlame = () => {
  const drawn = [];
  const pixels = graph.clientWidth || 1;
  const narrow = NARROW / pixels;
  const height = matchMedia("(pointer: coarse)").matches ? 30 : 21;
  const isHit = hitTest();
  let depth = 0;
  let hidden = 0;
  const place = (node, left, width, level, above) => {
    const mark = isHit ? (isHit(node) ? " hit" : " miss") : "";
    const element = make("button", { type: "button", class: `frame${above ? " above" : ""}${mark}`, role: "treeitem", tabindex: "-1", "aria-level": String(level + 1), title: words(node), "aria-label": words(node), text: width * pixels >= NAMED ? node.name : "" });
    element.style.left = `${left * 100}%`;
    element.style.width = `${width * 100}%`;
    element.style.top = `${level * height}px`;
    element.style.height = `${height}px`;
    element.style.lineHeight = `${height - 1}px`;
    element.style.backgroundColor = color(node);
    element.node = node;
    drawn.push(element);
    depth = Math.max(depth, level + 1);
  };
  const above = [];
  for (let node = flame.zoomed.parent; node; node = node.parent) above.unshift(node);
  above.forEach((node, level) => place(node, 0, 1, level, true));
  const total = flame.zoomed[state.w] || 1;
  const stack = [[flame.zoomed, 0, 1, above.length]];
  while (stack.length) {
    const [node, left, width, level] = stack.pop();
    place(node, left, width, level, false);
    let at = left;
    const fold = newNode("", node);
    const wide = [];
    let folded = 0;
    for (const child of [...node.children.values()].sort((a, b) => b[state.w] - a[state.w])) {
      const part = child[state.w] / total;
      if (part >= narrow) {
        wide.push([child, at, part, level + 1]);
        at += part;
      } else if (part > 0) {
        folded += 1;
        addTo(fold, child);
      }
    }
    hidden += folded;
    // The leftmost is drawn next, so that the order of elements is that of reading.
    stack.push(...wide.reverse());
    // Frames that are too narrow to be seen or hit are one.
    if (fold[state.w] / total >= narrow) {
      fold.name = `(${plural(folded, "narrow frame")})`;
      fold.isFold = true;
      place(fold, at, fold[state.w] / total, level + 1, false);
    }
  }
  graph.replaceChildren(...drawn);
  graph.style.height = `${depth * height}px`;
  const first = drawn.find((element) => element.node === flame.zoomed);
  if (first) first.tabIndex = 0;
  $("reset").disabled = flame.zoomed === flame.root;
  const found = isHit ? ` “${state.find.trim()}” matches ${percent(weightOf(flame.zoomed, isHit), flame.zoomed[state.w])} of the ${has(WEIGHTS, state.w) && WEIGHTS.find(([key]) => key === state.w)[1]}.` : "";
  const narrowed = hidden ? ` ${plural(hidden, "narrow frame")} folded; zoom or the table shows more.` : "";
  $("flame-at").textContent = `${words(flame.zoomed)}.${found}${narrowed}`;
};

graph.addEventListener("click", (event) => {
  const element = event.target.closest(".frame");
  if (element && !element.node.isFold) zoom(element.node, true);
});
const move = (from, to) => {
  if (!to) return;
  from.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
};
graph.addEventListener("keydown", (event) => {
  const from = event.target.closest(".frame");
  if (!from) return;
  const all = [...graph.children];
  const byLeft = (list) => list.sort((a, b) => parseFloat(a.style.left) - parseFloat(b.style.left));
  const of = (node) => all.find((element) => element.node === node);
  const level = byLeft(all.filter((element) => element.style.top === from.style.top));
  const at = level.indexOf(from);
  const children = byLeft(all.filter((element) => element.node.parent === from.node));
  const to = { ArrowUp: () => of(from.node.parent), ArrowDown: () => children[0], ArrowLeft: () => level[at - 1], ArrowRight: () => level[at + 1] }[event.key];
  if (to) { event.preventDefault(); move(from, to()); }
  else if (event.key === "Escape") { event.preventDefault(); zoom(flame.root, true); }
});
$("reset").addEventListener("click", () => zoom(flame.root, true));
