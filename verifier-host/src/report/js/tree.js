// The tree of the flame graph: all rows merged by function.

const newNode = (name, parent) => ({ name, parent, bytes: 0, count: 0, oldBytes: 0, oldCount: 0, children: new Map(), frames: [] });
const SUMS = ["bytes", "count", "oldBytes", "oldCount"];
const addTo = (node, row) => { for (const sum of SUMS) node[sum] += row[sum]; };

// The frames of a row in the picture, from its first level on: [label, frame].
const NO_STACK = label("(no stack)");
const KERNEL_ONLY = label(NO_FRAME);
const pathOf = (row) => {
  let path;
  if (row.stack >= 0) {
    const all = stackFrames(row.stack);
    const shown = state.kernel ? all : all.filter((frame) => !isKernel(frame));
    path = shown.map((frame) => [frameLabel[frame], frame]);
    if (!path.length) path.push([KERNEL_ONLY, -1]);
  } else {
    // Who reads a picture of functions wants the caller among them.
    const caller = callerOf(row);
    path = caller >= 0 ? [[frameLabel[caller], caller], [NO_STACK, -1]] : [[NO_STACK, -1]];
  }
  if (state.flip) return path;
  path.push([label(row.driver || "(unknown driver)"), -1]);
  return path.reverse();
};

const plant = (from) => {
  const root = newNode(from.length < rows.length ? "blocks that the filter leaves" : "all blocks", null);
  for (const row of from) {
    let node = root;
    addTo(node, row);
    for (const [name, frame] of pathOf(row)) {
      let child = node.children.get(name);
      if (!child) { child = newNode(labels[name], node); node.children.set(name, child); }
      node = child;
      addTo(node, row);
      // The lines of a few of the frames that are merged.
      if (frame >= 0 && node.frames.length < 4 && !node.frames.includes(frame)) node.frames.push(frame);
    }
  }
  return root;
};

// The node at the end of a path of names, as far as the tree has it.
const nodeAt = (root, path) => {
  let node = root;
  for (const name of path) {
    const child = node.children.get(labelOf.get(name));
    if (!child) break;
    node = child;
  }
  return node;
};
const pathTo = (node) => {
  const path = [];
  for (let at = node; at.parent; at = at.parent) path.unshift(at.name);
  return path;
};
// The rows under a node.
const rowsUnder = (from, node) => {
  const path = pathTo(node).map((name) => labelOf.get(name));
  if (!path.length) return from;
  return from.filter((row) => {
    const own = pathOf(row);
    return own.length >= path.length && path.every((name, at) => own[at][0] === name);
  });
};

// The weight of the topmost nodes under `node` whose name has the text: no block counts twice.
const weightOf = (node, isHit) => {
  const stack = [node];
  let sum = 0;
  while (stack.length) {
    const at = stack.pop();
    if (isHit(at)) sum += at[state.w];
    else stack.push(...at.children.values());
  }
  return sum;
};
