// Rows that pass the filter, and groups of them.

// Why rows without a frame that counts have none.
const withoutFrame = (row) => (row.caller < 0 ? NO_FRAME : `(no stack; caller is ${frameName(row.caller)})`);
const callerOf = (row) => (row.site >= 0 ? row.site : row.caller);

const KEYS = {
  driver: (row) => row.driver,
  tag: (row) => row.tag,
  function: (row) => (row.site < 0 ? withoutFrame(row) : functionName(outermost(row.site))),
  line: (row) => {
    if (row.site < 0) return withoutFrame(row);
    return inlineChain(row.site).map(linePath).join("\n") || frameName(outermost(row.site));
  },
  stack: (row) => (row.stack >= 0 ? `${row.driver} ${row.stack}` : `${row.driver} ${row.why} ${row.caller} ${row.site}`),
  path: (row) => {
    const own = row.stack >= 0 ? ownFrames(row).map(frameName).join("\n") : `caller ${callerOf(row)}`;
    return `${row.driver}\n${own}`;
  },
};

// The frames of one address that have lines: functions that were inlined, and the one that contains them.
const inlineChain = (frame) => {
  const last = outermost(frame);
  const chain = [];
  for (let at = frame; at >= 0 && at <= last; at += 1) if (hasLine(at)) chain.push(at);
  return chain;
};

// One line for a group, in parts: what it is, then its callers.
const CALLERS = 3;
const trailOf = (row) => {
  const own = row.stack >= 0 ? ownFrames(row) : [];
  const shown = own.slice(Math.max(0, own.indexOf(row.site))).slice(0, CALLERS);
  return shown.length || row.site < 0 ? shown : [row.site];
};
const trail = (row) => {
  const shown = trailOf(row);
  if (!shown.length) return [withoutFrame(row)];
  let module = -1;
  return shown.map((frame) => {
    const name = frameName(frame) + inlineMark(frame);
    const isSame = module === frames.module[frame] && frames.function[frame] >= 0;
    module = frames.module[frame];
    return isSame ? name.slice(name.indexOf("!") + 1) : name;
  });
};
const isTrail = () => state.by === "path" || state.by === "stack";
const labelParts = (group) => {
  const row = group.rows[0];
  switch (state.by) {
    case "driver": case "tag": case "function": return [group.key];
    case "line": return hasLine(row.site) ? [...inlineChain(row.site).map(lineText), functionName(outermost(row.site))] : [group.key];
    default: return trail(row);
  }
};

const wordsOf = (query) => query.toLowerCase().split(/\s+/).filter(Boolean);
const filtered = () => {
  const tests = wordsOf(state.q).map(matching);
  return rows.filter((row) =>
    (!state.driver || row.driver === state.driver) && (!state.tag || row.tag === state.tag) &&
    tests.every((test) => test(row)));
};

const grouped = (from) => {
  const key = KEYS[state.by];
  const groups = new Map();
  for (const row of from) {
    const of = key(row);
    let group = groups.get(of);
    if (!group) {
      group = { key: of, rows: [], count: 0, bytes: 0, largest: 0, oldCount: 0, oldBytes: 0, tags: new Set(), drivers: new Set() };
      groups.set(of, group);
    }
    group.rows.push(row);
    for (const sum of ["count", "bytes", "oldCount", "oldBytes"]) group[sum] += row[sum];
    group.largest = Math.max(group.largest, row.largest);
    group.tags.add(row.tag);
    group.drivers.add(row.driver);
  }
  const all = [...groups.values()];
  for (const group of all) {
    group.rows.sort((a, b) => b.bytes - a.bytes || b.oldBytes - a.oldBytes);
    group.parts = labelParts(group);
    group.label = group.parts.join(" ← ");
    group.tag = several(group.tags);
    group.driver = several(group.drivers);
    group.change = group.bytes - group.oldBytes;
  }
  return isDiff ? all.filter((group) => group.change || group.count !== group.oldCount) : all;
};
// The first of several tags or drivers, and how many others there are.
const NAMED_VALUES = 2;
const several = (set) => {
  if (set.size === 1) return [...set][0];
  const values = [...set].map((value) => value.trim()).sort();
  const more = values.length - NAMED_VALUES;
  return values.slice(0, NAMED_VALUES).join(", ") + (more > 0 ? ` +${more}` : "");
};

const sorted = (groups) => {
  const sign = state.down ? -1 : 1;
  const value = (group) => group[state.sort];
  const compare = (a, b) => (typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0);
  return groups.sort((a, b) => sign * compare(value(a), value(b)) || b.bytes - a.bytes);
};

// The lines of code of a group's sites: the one with the most bytes, and how many others.
const linesOf = (group) => {
  const lines = new Map();
  for (const row of group.rows) {
    if (hasLine(row.site)) lines.set(linePath(row.site), row.site);
  }
  return [...lines.values()];
};
