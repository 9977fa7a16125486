// The data of the page: columns of numbers, turned into frames, stacks and rows.

const data = JSON.parse($("data").textContent);
const text = (index) => (index < 0 ? "" : data.texts[index]);
const KERNEL = 1;
const INLINED = 2;
const NO_FRAME = "(no frame outside the kernel and Verifier)";

// Frames.
const frames = data.frames;
const hex = (n) => `0x${n.toString(16)}`;
const isKernel = (frame) => (frames.flags[frame] & KERNEL) !== 0;
const isInlined = (frame) => (frames.flags[frame] & INLINED) !== 0;
const functionName = (frame) => {
  const [module, name] = [frames.module[frame], frames.function[frame]];
  if (module < 0) return name < 0 ? `0x${frames.address[frame]}` : text(name);
  return name < 0 ? `${text(module)}+${hex(frames.offset[frame])}` : `${text(module)}!${text(name)}`;
};
const frameName = (frame) => {
  const offset = frames.offset[frame];
  const known = frames.function[frame] >= 0 && offset !== 0;
  return functionName(frame) + (known ? `+${hex(offset)}` : "");
};
const inlineMark = (frame) => (isInlined(frame) ? " (inlined)" : "");
// The function that contains inlined ones.
const outermost = (frame) => {
  while (frame >= 0 && isInlined(frame)) frame += 1;
  return frame;
};
const filePath = (frame) => text(frames.file[frame]);
const fileName = (path) => path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
const hasLine = (frame) => frame >= 0 && frames.file[frame] >= 0;
const lineText = (frame) => (hasLine(frame) ? `${fileName(filePath(frame))}:${frames.line[frame]}` : "");
const linePath = (frame) => (hasLine(frame) ? `${filePath(frame)}:${frames.line[frame]}` : "");

// The name of each frame without its offset, as a number: the flame graph merges by it.
const labels = [];
const labelOf = new Map();
const label = (name) => {
  let index = labelOf.get(name);
  if (index === undefined) { index = labels.length; labels.push(name); labelOf.set(name, index); }
  return index;
};
const frameLabel = frames.flags.map((_, frame) => label(functionName(frame) + inlineMark(frame)));

// The frames of a stack, the innermost first.
const callers = data.stacks.up.map((up, node) => (up ? node - up : -1));
const stackFrames = (node) => {
  const found = [];
  for (let at = node; at >= 0; at = callers[at]) found.push(data.stacks.frame[at]);
  return found;
};
// The same without the kernel and Verifier; all frames if there are no others.
const ownFrames = (row) => {
  const all = stackFrames(row.stack);
  const own = all.filter((frame) => !isKernel(frame));
  return own.length ? own : all;
};

const snippets = new Map(data.snippets.map((one) => [`${one.file}:${one.line}`, one]));
const snippetOf = (frame) => snippets.get(`${frames.file[frame]}:${frames.line[frame]}`);

// Rows: blocks of one driver, tag and stack.
const columns = data.rows;
const rows = columns.count.map((count, index) => ({
  index,
  count,
  bytes: columns.bytes[index],
  largest: columns.largest[index],
  driver: text(columns.driver[index]),
  tag: columns.tag[index] < 0 ? "(several)" : text(columns.tag[index]),
  stack: columns.stack[index],
  why: text(columns.why[index]),
  caller: columns.caller[index],
  site: columns.site[index],
  oldCount: data.is_diff ? columns.count_before[index] : 0,
  oldBytes: data.is_diff ? columns.bytes_before[index] : 0,
}));
const isDiff = data.is_diff;
// A sum of rows, if more may exist than was read: "at least 3 blocks", never a bare 0.
const isWhole = data.extent === "complete";
const known = (n, words) => (isWhole ? words : n > 0 ? `at least ${words}` : "unknown, since not all could be read");

// The addresses of a row's blocks, as far as the page has them: the first, then distances.
const addressesOf = (row) => {
  const words = columns.addresses[row.index];
  if (!words) return [];
  let at = 0n;
  return words.split(" ").map((word) => { at += BigInt(`0x${word}`); return hex(at); });
};
// Blocks and bytes by the binary digits of their sizes.
const sizesOf = (row) => {
  const sizes = columns.sizes[row.index];
  return sizes.length ? sizes : [binaryDigits(row.largest), row.count, row.bytes];
};
const binaryDigits = (n) => (n < 1 ? 0 : Math.floor(Math.log2(n)) + 1);

// An address as people paste it: with or without 0x, zeros before it, a backtick in its middle.
const digitsOf = (word) => {
  const found = /^(?:0x)?0*([0-9a-f]{4,16})$/.exec(word.replace(/`/g, ""));
  return found && found[1];
};
let addressDigits = null;
// Which rows have a word in a name, a file, the driver, the tag or an address.
const matching = (word) => {
  const digits = digitsOf(word);
  const isIn = (value) => value.toLowerCase().includes(word);
  const hits = new Set();
  frames.flags.forEach((_, frame) => {
    const address = digits !== null && frames.address[frame].includes(digits);
    if (address || isIn(frameName(frame)) || isIn(linePath(frame)) || isIn(lineText(frame))) hits.add(frame);
  });
  // A caller has a lower number than what it calls.
  const nodes = [];
  data.stacks.frame.forEach((frame, node) => {
    nodes[node] = hits.has(frame) || (callers[node] >= 0 && nodes[callers[node]]);
  });
  if (digits !== null && !addressDigits) addressDigits = rows.map((row) => addressesOf(row).join(" "));
  return (row) => isIn(row.driver) || isIn(row.tag) || (row.stack >= 0 && nodes[row.stack]) ||
    hits.has(row.caller) || hits.has(row.site) ||
    (digits !== null && addressDigits[row.index].includes(digits));
};
