// What the page shows, and the same in the fragment of its address, so that a view can be sent to others.

const GROUPINGS = [
  ["path", "Own frames", "The frames outside the kernel and Verifier"],
  ["function", "Function", "The first function outside the kernel and Verifier"],
  ["line", "Line", "The line of source code of that function's call"],
  ["driver", "Driver", "The driver"],
  ["tag", "Tag", "The pool tag"],
  ["stack", "Stack", "The whole stack"],
];
const WEIGHTS = isDiff
  ? [["bytes", "bytes after"], ["count", "blocks after"], ["oldBytes", "bytes before"], ["oldCount", "blocks before"]]
  : [["bytes", "bytes"], ["count", "blocks"]];
const SORTS = ["change", "bytes", "count", "largest", "tag", "driver", "label"];

const DEFAULTS = {
  by: "path", q: "", driver: text(data.preset_driver), tag: "", zoom: [], find: "",
  flip: false, kernel: false, w: "bytes", sort: isDiff ? "change" : "bytes", down: true,
};
const state = { ...DEFAULTS };

const has = (list, value) => list.some((one) => (Array.isArray(one) ? one[0] : one) === value);

// The state of a fragment. Whatever it does not have, or has wrong, is as at the start.
const stateOf = (fragment) => {
  const words = new URLSearchParams(fragment.replace(/^#/, ""));
  const found = { ...DEFAULTS };
  for (const key of ["q", "driver", "tag", "find"]) if (words.has(key)) found[key] = words.get(key).slice(0, 500);
  if (has(GROUPINGS, words.get("by"))) found.by = words.get("by");
  if (has(WEIGHTS, words.get("w"))) found.w = words.get("w");
  for (const key of ["flip", "kernel"]) found[key] = words.get(key) === "1";
  const sort = words.get("sort") || "";
  const key = sort.replace(/^-/, "");
  if (has(SORTS, key)) { found.sort = key; found.down = sort.startsWith("-"); }
  found.zoom = words.getAll("zoom").slice(0, 200);
  return found;
};
const fragmentOf = (from) => {
  const words = new URLSearchParams();
  for (const key of ["by", "q", "driver", "tag", "find", "w"]) if (from[key] !== DEFAULTS[key]) words.set(key, from[key]);
  for (const key of ["flip", "kernel"]) if (from[key]) words.set(key, "1");
  if (from.sort !== DEFAULTS.sort || from.down !== DEFAULTS.down) words.set("sort", (from.down ? "-" : "") + from.sort);
  for (const name of from.zoom) words.append("zoom", name);
  return words.toString();
};
// The fragment of a section is not a view: it has no "=".
const isView = (fragment) => fragment.includes("=");
const keep = () => {
  const fragment = fragmentOf(state);
  const now = location.hash.replace(/^#/, "");
  if (fragment === now || (!fragment && !isView(now))) return;
  try {
    history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
  } catch { /* some browsers do not allow it in a page from a file, or not so often */ }
};
