// How large the blocks are: one bar for each power of two.

const bar = (share) => {
  const filled = make("span", {});
  filled.style.width = `${(100 * share).toFixed(2)}%`;
  return make("span", { class: "share", "aria-hidden": "true" }, filled);
};
const rangeText = (digits) => {
  if (digits <= 1) return digits === 0 ? "0 bytes" : "1 byte";
  const [low, high] = [2 ** (digits - 1), 2 ** digits];
  return low < 1024 ? `${low} to ${high - 1} bytes` : `${sizeText(low)} to under ${sizeText(high)}`;
};
const drawSizes = (from) => {
  // A page about two dumps has no sizes.
  if (!$("sizes")) return;
  const sums = new Map();
  for (const row of from) {
    const sizes = sizesOf(row);
    for (let at = 0; at < sizes.length; at += 3) {
      const sum = sums.get(sizes[at]) || [0, 0];
      sums.set(sizes[at], [sum[0] + sizes[at + 1], sum[1] + sizes[at + 2]]);
    }
  }
  const all = [...sums].filter(([, [count]]) => count > 0).sort((a, b) => a[0] - b[0]);
  const most = Math.max(1, ...all.map(([, [count]]) => count));
  $("sizes").hidden = all.length === 0;
  $("sizes-of").textContent = `Of the ${blocks(table.count)} of the table${activeFilters() ? `, filter: ${activeFilters()}` : ""}. The bars are blocks.`;
  $("size-bars").tBodies[0].replaceChildren(...all.map(([digits, [count, bytes]]) => make("tr", {},
    make("td", { text: rangeText(digits) }), make("td", { class: "n", text: number(count) }),
    make("td", { class: "n" }, sizeOf(bytes)), make("td", { class: "bar-cell" }, bar(count / most)))));
};
