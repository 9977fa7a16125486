// The table of groups, and what is known of one group.

const PAGE = 100;
// On paper nothing can be asked for: more groups, and the stacks of the largest.
const PRINTED = 500;
const PRINTED_STACKS = 20;
const STACKS = 10;
const ADDRESSES = 60;
const SOURCES = 5;

const table = { groups: [], limit: PAGE, open: new Set() };
const body = $("leaks").tBodies[0];

// Columns: the key to sort by, its name, its style, and the cell of a group.
const COLUMNS = [
  ["label", "Where", "where", (group) => whereCell(group)],
  ...(isDiff ? [
    ["change", "Change", "n", (group) => [make("span", { class: changeClass(group.change), text: signed(group.change, sizeText(group.change)), title: signed(group.change, exact(group.change)) }), make("small", { text: signed(group.count - group.oldCount, blocks(group.count - group.oldCount)) })]],
    ["bytes", "After", "n", (group) => [sizeOf(group.bytes), make("small", { text: blocks(group.count) })]],
    ["oldBytes", "Before", "n", (group) => [sizeOf(group.oldBytes), make("small", { text: blocks(group.oldCount) })]],
  ] : [
    ["bytes", "Bytes", "n", (group) => [sizeOf(group.bytes), make("small", { text: percent(group.bytes, table.bytes) })]],
    ["count", "Blocks", "n", (group) => [number(group.count)]],
    ["largest", "Largest", "n", (group) => [sizeOf(group.largest)]],
  ]),
  ["tag", "Tag", "tag", (group) => [make("span", { class: "label", text: group.tag, title: [...group.tags].slice(0, 50).join(", ") })]],
  ["driver", "Driver", "", (group) => [make("span", { text: group.driver, title: [...group.drivers].slice(0, 50).join(", ") })]],
];
const changeClass = (change) => (change > 0 ? "grew" : change < 0 ? "shrank" : "");

const whereCell = (group) => {
  const [first, ...callers] = group.parts;
  const name = make("span", { class: "label" }, make("b", { text: first }));
  for (const caller of callers) name.append(make("span", { class: "caller", text: ` ← ${caller}` }));
  const cell = [name];
  const lines = linesOf(group);
  const chain = isTrail() ? trailOf(group.rows[0]).filter(hasLine) : [];
  if (chain.length) {
    const line = make("span", { class: "line" });
    chain.forEach((frame, at) => line.append(at ? " ← " : "", make("span", { class: at ? "caller" : null, title: linePath(frame), text: lineText(frame) })));
    cell.push(line);
  } else if (lines.length && state.by !== "line") {
    const more = lines.length > 1 ? ` and ${plural(lines.length - 1, "other line")}` : "";
    cell.push(make("span", { class: "line", title: lines.slice(0, 20).map(linePath).join("\n"), text: lineText(lines[0]) + more }));
  } else if (lines.length) {
    name.title = linePath(lines[0]);
  }
  const without = group.rows.filter((row) => row.why);
  if (without.length) {
    const count = without.reduce((sum, row) => sum + (row.count || row.oldCount), 0);
    const all = group.count || group.oldCount;
    const reasons = [...new Set(without.map((row) => row.why))].join("; ");
    const who = count >= all ? "no stack" : `${blocks(count)} without a stack`;
    cell.push(make("span", { class: "note", text: `${who}: ${reasons}` }));
  }
  return cell;
};

const header = () => {
  const line = make("tr", { role: "row" }, make("th", { scope: "col", role: "columnheader" }, make("span", { class: "off", text: "Stack" })));
  for (const [key, name, style] of COLUMNS) {
    const button = make("button", { type: "button", "data-sort": key, text: name });
    button.addEventListener("click", () => {
      const down = state.sort === key ? !state.down : !["tag", "driver", "label"].includes(key);
      update({ sort: key, down });
      $("leaks").querySelector(`[data-sort="${key}"]`).focus();
    });
    const sort = state.sort === key ? (state.down ? "descending" : "ascending") : "none";
    line.append(make("th", { scope: "col", role: "columnheader", class: style, "aria-sort": sort }, button));
  }
  $("leaks").tHead.replaceChildren(line);
};

const idOf = (group) => `detail-${group.rows[0].index}`;
const row = (group, at) => {
  const open = table.open.has(group.key);
  const button = make("button", { type: "button", class: "expand", "aria-expanded": String(open), "aria-controls": open ? idOf(group) : null, text: open ? "\u2212" : "+", "aria-label": `Details of group ${at + 1}, ${group.label}, ${blocks(group.count)}` });
  const line = make("tr", { class: "row", role: "row" }, make("td", { role: "cell", class: "open" }, button));
  for (const [, name, style, cell] of COLUMNS) {
    line.append(make("td", { role: "cell", class: style, "data-label": name }, ...cell(group)));
  }
  const toggle = () => {
    const now = !table.open.has(group.key);
    if (now) { table.open.add(group.key); line.after(detail(group)); button.setAttribute("aria-controls", idOf(group)); }
    else { table.open.delete(group.key); line.nextElementSibling.remove(); button.removeAttribute("aria-controls"); }
    button.setAttribute("aria-expanded", String(now));
    button.textContent = now ? "\u2212" : "+";
  };
  // Who selects text in a row does not want it opened.
  line.addEventListener("click", () => { if (!String(getSelection())) toggle(); });
  return open ? [line, detail(group)] : [line];
};

// A stack with lines of code. Frames of the kernel are dimmed.
const stackList = (row) => {
  const list = make("ol", { class: "stack" });
  for (const frame of stackFrames(row.stack)) {
    const item = make("li", { class: isKernel(frame) ? "kernel" : null });
    const address = frames.address[frame];
    if (address) item.append(make("span", { class: "va", text: isInlined(frame) ? "inlined" : `0x${address}` }), " ");
    item.append(make("span", { class: "label", text: frameName(frame) }));
    if (!address) item.append(inlineMark(frame));
    if (hasLine(frame)) item.append(" ", make("span", { class: "line", title: linePath(frame), text: lineText(frame) }));
    list.append(item);
  }
  return list;
};
const stackText = (row) => stackFrames(row.stack)
  .map((frame) => frameName(frame) + inlineMark(frame) + (hasLine(frame) ? ` [${linePath(frame)}]` : "")).join("\n");

const sourceList = (frame) => {
  const found = snippetOf(frame);
  const list = make("ol", { class: "source", "aria-label": `Source of ${lineText(frame)}` });
  found.lines.forEach((line, at) => {
    const here = found.first + at === found.line;
    list.append(make("li", { class: here ? "here" : null, "aria-current": here ? "true" : null }, make("span", { class: "va", text: String(found.first + at) }), make("code", { text: line })));
  });
  return list;
};
// The source of the group's site and of its callers, as far as the page has it. The first is open.
const sources = (group) => {
  const chain = [...linesOf(group), ...trailOf(group.rows[0])].filter((frame) => hasLine(frame) && snippetOf(frame));
  const lines = new Map(chain.map((frame) => [linePath(frame), frame]));
  return [...lines.values()].slice(0, SOURCES).map((frame, at) => {
    const part = make("details", {}, make("summary", { class: "path", text: linePath(frame) }), sourceList(frame));
    part.open = at === 0;
    return part;
  });
};

// The stacks of a group, or the callers of blocks without one: each with its rows, the most bytes first.
const membersOf = (group) => {
  const members = new Map();
  for (const row of group.rows) {
    const key = KEYS.stack(row);
    const found = members.get(key);
    if (found) found.push(row); else members.set(key, [row]);
  }
  const sum = (of, key) => of.reduce((all, row) => all + row[key], 0);
  const all = [...members.values()].map((of) => ({
    row: of[0],
    tags: [...new Set(of.map((row) => row.tag))],
    ...Object.fromEntries(SUMS.map((key) => [key, sum(of, key)])),
  }));
  return all.sort((a, b) => b.bytes - a.bytes || b.oldBytes - a.oldBytes);
};
const heldBy = (member) => {
  const held = isDiff
    ? `${blocks(member.oldCount)}, ${sizeText(member.oldBytes)} before; ${blocks(member.count)}, ${sizeText(member.bytes)} after`
    : `${blocks(member.count)}, ${sizeText(member.bytes)}`;
  const tags = member.tags.slice(0, 8).join(", ") + (member.tags.length > 8 ? ", …" : "");
  return `${held}; ${member.tags.length === 1 ? "tag" : "tags"} ${tags}; ${member.row.driver}`;
};
// One of them: its stack and what it holds.
const showMember = (member) => {
  const { row } = member;
  const parts = [make("p", { class: "member", text: heldBy(member), title: isDiff ? null : exact(member.bytes) })];
  if (row.stack >= 0) parts.push(stackList(row), make("div", { class: "bar" }, copyButton("Copy stack", () => stackText(row))));
  else parts.push(make("p", { class: "note", text: `No stack: ${row.why}.` + (row.caller >= 0 ? ` The caller is ${frameName(row.caller)}.` : "") }));
  return make("div", { class: "of-stack" }, ...parts);
};

const detail = (group) => {
  const cell = make("td", { colspan: String(COLUMNS.length + 1), role: "cell" });
  cell.append(...sources(group));
  const members = membersOf(group);
  const [first, ...others] = members.slice(0, STACKS);
  cell.append(showMember(first));
  for (const member of others) {
    const more = make("details", {}, make("summary", { text: `${heldBy(member)}: ${trail(member.row).join(" ← ")}` }));
    more.addEventListener("toggle", () => { if (more.open && more.children.length === 1) more.append(showMember(member)); });
    cell.append(more);
  }
  const rest = members.length - STACKS;
  if (rest > 0) cell.append(make("p", { class: "note", text: `${plural(rest, "stack")} with fewer bytes: group by stack to see all.` }));
  const addresses = group.rows.flatMap(addressesOf);
  if (addresses.length) cell.append(...addressList(addresses, group.count));
  return make("tr", { class: "detail", role: "row", id: idOf(group) }, cell);
};

const addressList = (addresses, count) => {
  const words = addresses.length < count ? `; the page has the addresses of ${number(addresses.length)}` : "";
  const list = make("ul", { class: "addresses" });
  for (const address of addresses.slice(0, ADDRESSES)) {
    const button = copyButton(address, () => address);
    button.title = `Copy ${address}`;
    list.append(make("li", {}, button));
  }
  const hidden = addresses.length - ADDRESSES;
  if (hidden > 0) list.append(make("li", { class: "note", text: `and ${number(hidden)} more, which are copied` }));
  return [make("div", { class: "bar" }, copyButton("Copy addresses", () => addresses.join("\n")), make("span", { class: "note", text: blocks(count) + words })), list];
};

$("all").addEventListener("click", () => {
  const shown = table.groups.slice(0, table.limit);
  const open = shown.some((group) => !table.open.has(group.key));
  for (const group of shown) if (open) table.open.add(group.key); else table.open.delete(group.key);
  drawTable();
});
$("more").addEventListener("click", () => { table.limit += PAGE; drawTable(); });

const activeFilters = () => {
  const words = [["", state.q], ["driver ", state.driver], ["tag ", state.tag], ["zoom ", state.zoom.at(-1) || ""]];
  return words.filter(([, value]) => value).map(([what, value]) => what + value).join(", ");
};
const drawTable = () => {
  header();
  const shown = table.groups.slice(0, table.limit);
  const nothing = () => {
    const none = isDiff ? "Nothing changed" : rows.length ? "No group matches" : "No outstanding allocation";
    const words = isWhole ? `${none}.` : `${none} of what could be read; more may exist.`;
    return make("tr", { class: "none", role: "row" }, make("td", { colspan: String(COLUMNS.length + 1), role: "cell", text: words }));
  };
  body.replaceChildren(...(shown.length ? shown.flatMap(row) : [nothing()]));
  const left = table.groups.length - shown.length;
  $("more").hidden = left === 0;
  $("more").textContent = `Show ${Math.min(left, PAGE)} more of ${number(left)}`;
  $("all").hidden = shown.length === 0;
  $("printed").textContent = `${number(shown.length)} of ${plural(table.groups.length, "group")}; filter: ${activeFilters() || "none"}.`;
  const sums = isDiff
    ? `${signed(table.change, sizeText(table.change))} (${signed(table.change, exact(table.change))})${isWhole ? "" : ", as far as the dumps could be read"}`
    : known(table.count, `${blocks(table.count)}, ${sizeText(table.bytes)} (${exact(table.bytes)})`);
  $("shown").textContent = `${plural(table.groups.length, isDiff ? "changed group" : "group")}: ${sums}`;
};

let screen = null;
addEventListener("beforeprint", () => {
  screen = { limit: table.limit, open: new Set(table.open) };
  table.limit = PRINTED;
  for (const group of table.groups.slice(0, PRINTED_STACKS)) table.open.add(group.key);
  drawTable();
});
addEventListener("afterprint", () => {
  if (screen) Object.assign(table, screen);
  screen = null;
  drawTable();
});
