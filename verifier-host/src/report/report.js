"use strict";
(() => {
  const PAGE = 100;
  // On paper nothing can be asked for: more groups, and the stacks of the largest.
  const PRINTED = 500;
  const PRINTED_STACKS = 20;
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const count = new Intl.NumberFormat("en-US");

  // Text from the dump only ever becomes text.
  const make = (tag, props, ...children) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(props || {})) {
      if (key === "class") element.className = value;
      else if (key === "text") element.textContent = value;
      else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };
  const frameName = (index) => data.frames[index][1] || data.frames[index][0];

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

  // The table.
  const groups = data.groups;
  groups.forEach((group, index) => {
    const frames = group.stack ? group.stack.map(frameName) : [];
    group.index = index;
    group.text = [group.label, group.tag, group.driver, ...frames].join("\n").toLowerCase();
    const addresses = [...group.addresses, ...(group.stack || []).map((frame) => data.frames[frame][0])];
    group.digits = addresses.map((address) => address.slice(2)).join("\n");
  });
  // An address as people paste it: with or without 0x, zeros before it, a backtick in its middle.
  const digits = (word) => {
    const found = /^(?:0x)?0*([0-9a-f]{4,16})$/.exec(word.replace(/`/g, ""));
    return found && found[1];
  };
  const matches = (group, word) => {
    const address = digits(word);
    return group.text.includes(word) || (address !== null && group.digits.includes(address));
  };
  const state = { key: "bytes", down: true, rows: groups, limit: PAGE, open: new Set() };
  const body = $("leaks").tBodies[0];
  const fill = (select, key) => {
    const values = [...new Set(groups.map((group) => group[key]))].sort();
    for (const value of values) select.append(make("option", { value: "=" + value, text: value || "(several)" }));
  };
  fill($("driver-filter"), "driver");
  fill($("tag-filter"), "tag");

  const copy = async (text, button) => {
    const say = (word) => {
      const before = button.dataset.text || (button.dataset.text = button.textContent);
      button.textContent = word;
      setTimeout(() => { button.textContent = before; }, 1200);
    };
    try {
      await navigator.clipboard.writeText(text);
      say("copied");
    } catch {
      // Without permission: select it, so that the keyboard can copy it.
      const area = make("textarea", { class: "off" });
      area.value = text;
      document.body.append(area);
      area.select();
      say(document.execCommand("copy") ? "copied" : "not copied");
      area.remove();
      button.focus();
    }
  };

  const detail = (group) => {
    const cell = make("td", { colspan: "7" });
    if (group.stack) {
      const list = make("ol", { class: "stack" });
      for (const index of group.stack) {
        const [address, name] = data.frames[index];
        list.append(make("li", {}, make("span", { class: "va", text: address }), " " + (name || "")));
      }
      cell.append(list);
    } else {
      cell.append(make("p", { text: "No stack: " + (group.why || "the blocks have different stacks") + "." }));
    }
    const shown = group.addresses.length;
    const words = shown < group.count ? ` (${count.format(shown)} of ${count.format(group.count)}; the others are folded)` : "";
    const all = make("button", { type: "button", class: "copy", text: "Copy addresses" });
    all.addEventListener("click", () => copy(group.addresses.join("\n"), all));
    const stack = make("button", { type: "button", class: "copy", text: "Copy stack" });
    stack.addEventListener("click", () => copy((group.stack || []).map(frameName).join("\n"), stack));
    cell.append(make("div", { class: "bar" }, all, group.stack ? stack : "", make("span", { class: "note", text: blocks(group.count) + words })));
    const list = make("ul", { class: "addresses" });
    for (const address of group.addresses) {
      const button = make("button", { type: "button", title: "Copy " + address, text: address });
      button.addEventListener("click", () => copy(address, button));
      list.append(make("li", {}, button));
    }
    cell.append(list);
    return make("tr", { class: "detail", id: `detail-${group.index}` }, cell);
  };
  const blocks = (n) => (n === 1 ? "1 block" : `${count.format(n)} blocks`);

  const row = (group) => {
    const open = state.open.has(group);
    const button = make("button", { type: "button", class: "expand", "aria-expanded": String(open), text: open ? "\u2212" : "+" });
    button.setAttribute("aria-label", `Stack of group ${group.index + 1}, ${group.label}, ${blocks(group.count)}`);
    if (open) button.setAttribute("aria-controls", `detail-${group.index}`);
    const line = make("tr", { class: "row" },
      make("td", {}, button),
      make("td", { class: "n", text: count.format(group.count) }),
      make("td", { class: "n", text: count.format(group.bytes) }),
      make("td", { class: "n", text: count.format(group.largest) }),
      make("td", { class: "tag label", text: group.tag }),
      make("td", { text: group.driver }),
      make("td", { class: "where" }, make("span", { class: "label", text: group.label }), group.stack ? "" : make("div", { class: "note", text: "no stack: " + (group.why || "") })));
    const toggle = () => {
      const now = !state.open.has(group);
      if (now) { state.open.add(group); line.after(detail(group)); button.setAttribute("aria-controls", `detail-${group.index}`); }
      else { state.open.delete(group); line.nextElementSibling.remove(); button.removeAttribute("aria-controls"); }
      button.setAttribute("aria-expanded", String(now));
      button.textContent = now ? "\u2212" : "+";
    };
    // Who selects text in a row does not want it opened.
    line.addEventListener("click", () => { if (!String(getSelection())) toggle(); });
    return open ? [line, detail(group)] : [line];
  };

  const all = $("all");
  all.addEventListener("click", () => {
    const rows = state.rows.slice(0, state.limit);
    const open = rows.some((group) => !state.open.has(group));
    for (const group of rows) if (open) state.open.add(group); else state.open.delete(group);
    show();
  });
  const none = () => {
    const clear = make("button", { type: "button", id: "clear", text: "Clear the filter" });
    clear.addEventListener("click", () => {
      for (const id of ["filter", "driver-filter", "tag-filter"]) $(id).value = "";
      filter();
      $("filter").focus();
    });
    return make("tr", { class: "none" }, make("td", { colspan: "7" },
      groups.length ? make("span", { text: "No group matches. " }) : make("span", { text: "No outstanding allocation." }),
      groups.length ? clear : ""));
  };
  const asked = () => [["filter", ""], ["driver-filter", "driver "], ["tag-filter", "tag "]]
    .filter(([id]) => $(id).value).map(([id, what]) => what + $(id).value.replace(/^=/, "")).join(", ");
  const show = () => {
    const rows = state.rows.slice(0, state.limit);
    body.replaceChildren(...(rows.length ? rows.flatMap(row) : [none()]));
    const left = state.rows.length - rows.length;
    all.disabled = rows.length === 0;
    $("more").hidden = left === 0;
    $("more").textContent = `Show ${Math.min(left, PAGE)} more of ${count.format(left)}`;
    const sum = (key) => state.rows.reduce((total, group) => total + group[key], 0);
    $("printed").textContent = `${count.format(rows.length)} of ${count.format(groups.length)} groups; filter: ${asked() || "none"}.`;
    $("shown").textContent = `${count.format(state.rows.length)} of ${count.format(groups.length)} groups, ` +
      `${count.format(sum("count"))} blocks, ${count.format(sum("bytes"))} bytes`;
  };
  const choose = () => {
    const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [driver, tag] = [$("driver-filter").value, $("tag-filter").value];
    const rows = groups.filter((group) =>
      (!driver || "=" + group.driver === driver) && (!tag || "=" + group.tag === tag) &&
      words.every((word) => matches(group, word)));
    const sign = state.down ? -1 : 1;
    const { key } = state;
    rows.sort((a, b) => sign * (typeof a[key] === "number" ? a[key] - b[key] : a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0));
    state.rows = rows;
    state.limit = PAGE;
    show();
  };
  const filter = () => { choose(); grow(); };
  for (const button of document.querySelectorAll("#leaks [data-sort]")) {
    button.addEventListener("click", () => {
      const key = button.dataset.sort;
      state.down = state.key === key ? !state.down : ["count", "bytes", "largest"].includes(key);
      state.key = key;
      for (const other of document.querySelectorAll("#leaks th[aria-sort]")) other.setAttribute("aria-sort", "none");
      button.closest("th").setAttribute("aria-sort", state.down ? "descending" : "ascending");
      choose();
    });
  }
  $("filter-form").addEventListener("submit", (event) => event.preventDefault());
  $("filter").addEventListener("input", filter);
  $("driver-filter").addEventListener("change", filter);
  $("tag-filter").addEventListener("change", filter);
  $("more").addEventListener("click", () => { state.limit += PAGE; show(); });
  $("filter-form").hidden = false;
  $("leaks").hidden = false;
  let before = null;
  addEventListener("beforeprint", () => {
    before = { limit: state.limit, open: new Set(state.open) };
    state.limit = PRINTED;
    for (const group of state.rows.slice(0, PRINTED_STACKS)) state.open.add(group);
    show();
  });
  addEventListener("afterprint", () => {
    if (before) Object.assign(state, before);
    before = null;
    show();
  });

  // Tables of the page's own markup whose columns sort.
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const value = (line, at) => {
      const text = line.cells[at].textContent;
      return heads[at].classList.contains("n") ? Number(text.replace(/,/g, "")) : text.toLowerCase();
    };
    heads.forEach((head, at) => {
      const button = make("button", { type: "button", text: head.textContent });
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const numbers = head.classList.contains("n");
        const down = head.ariaSort === "none" ? numbers : head.ariaSort === "ascending";
        for (const other of heads) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const sign = down ? -1 : 1;
        const order = (a, b) => (a < b ? -sign : a > b ? sign : 0);
        table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => order(value(a, at), value(b, at))));
      });
    });
  }

  // The flame graph: a tree from the outermost frame in, drawn from the node that is zoomed to.
  const HEIGHT = 21;
  // Pixels: what is narrower can be neither seen nor hit, and what has no room for it shows no name.
  const NARROW = 3;
  const NAMED = 24;
  const tree = (name, parent) => ({ name, parent, bytes: 0, count: 0, children: new Map() });
  let root;
  const add = (node, group) => { node.bytes += group.bytes; node.count += group.count; };
  const plant = () => {
    const all = data.omitted[0] ? "all blocks of the table" : "all blocks";
    root = tree(state.rows.length < groups.length ? "blocks that the filter leaves" : all, null);
    for (const group of state.rows) hang(group);
  };
  const hang = (group) => {
    const path = [group.driver || "(several drivers)"];
    if (group.stack) for (let i = group.stack.length - 1; i >= 0; i -= 1) path.push(frameName(group.stack[i]));
    else path.push("(no stack)", group.label);
    let node = root;
    add(node, group);
    for (const name of path) {
      if (!node.children.has(name)) node.children.set(name, tree(name, node));
      node = node.children.get(name);
      add(node, group);
    }
  };
  const graph = $("flame-graph");
  let zoomed;
  let weight = "bytes";
  const color = (name) => {
    let hash = 7;
    for (let i = 0; i < name.length; i += 1) hash = (hash * 31 + name.charCodeAt(i)) >>> 0;
    if (name.startsWith("nt!")) return `hsl(${205 + (hash % 24)} 42% ${72 + (hash % 9)}%)`;
    if (name.startsWith("(")) return "hsl(220 6% 72%)";
    return `hsl(${18 + (hash % 30)} 78% ${66 + (hash % 11)}%)`;
  };
  const words = (node) => {
    const share = root[weight] ? ((100 * node[weight]) / root[weight]).toFixed(1) : "0";
    return `${node.name}: ${count.format(node.bytes)} bytes, ${count.format(node.count)} blocks, ${share} %`;
  };
  const zoom = (node, focus) => {
    zoomed = node;
    draw();
    if (focus) { const found = [...graph.children].find((element) => element.node === node); if (found) found.focus(); }
  };
  const draw = () => {
    const drawn = [];
    const pixels = graph.clientWidth || 1;
    const narrow = NARROW / pixels;
    let depth = 0;
    let hidden = 0;
    const place = (node, left, width, level, above) => {
      const element = make("button", { type: "button", class: above ? "frame above" : "frame", role: "treeitem", tabindex: "-1", "aria-level": String(level + 1), title: words(node), "aria-label": words(node), text: width * pixels >= NAMED ? node.name : "" });
      element.style.left = `${left * 100}%`;
      element.style.width = `${width * 100}%`;
      element.style.top = `${level * HEIGHT}px`;
      element.style.backgroundColor = color(node.name);
      element.node = node;
      drawn.push(element);
      depth = Math.max(depth, level + 1);
    };
    const above = [];
    for (let node = zoomed.parent; node; node = node.parent) above.unshift(node);
    above.forEach((node, level) => place(node, 0, 1, level, true));
    const total = zoomed[weight] || 1;
    const stack = [[zoomed, 0, 1, above.length]];
    while (stack.length) {
      const [node, left, width, level] = stack.pop();
      place(node, left, width, level, false);
      let at = left;
      const fold = tree("", node);
      let folded = 0;
      for (const child of [...node.children.values()].sort((a, b) => b[weight] - a[weight])) {
        const part = child[weight] / total;
        if (part >= narrow) {
          stack.push([child, at, part, level + 1]);
          at += part;
        } else {
          folded += 1;
          add(fold, child);
        }
      }
      hidden += folded;
      // What is too narrow to be seen or hit stands together.
      if (fold[weight] / total >= narrow) {
        fold.name = `(${count.format(folded)} narrow frames)`;
        fold.isFold = true;
        place(fold, at, fold[weight] / total, level + 1, false);
      }
    }
    graph.replaceChildren(...drawn);
    graph.style.height = `${depth * HEIGHT}px`;
    const first = drawn.find((element) => element.node === zoomed);
    if (first) first.tabIndex = 0;
    $("reset").disabled = zoomed === root;
    $("flame-at").textContent = words(zoomed) + (hidden ? `. Folded because they are narrow: ${count.format(hidden)} branches; zoom or the table shows them.` : "");
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
    const of = (node) => all.find((element) => element.node === node);
    const level = all.filter((element) => element.style.top === from.style.top)
      .sort((a, b) => parseFloat(a.style.left) - parseFloat(b.style.left));
    const at = level.indexOf(from);
    const children = all.filter((element) => element.node.parent === from.node)
      .sort((a, b) => parseFloat(a.style.left) - parseFloat(b.style.left));
    const to = { ArrowUp: () => of(from.node.parent), ArrowDown: () => children[0], ArrowLeft: () => level[at - 1], ArrowRight: () => level[at + 1] }[event.key];
    if (to) { event.preventDefault(); move(from, to()); }
    else if (event.key === "Escape") { event.preventDefault(); zoom(root, true); }
  });
  $("reset").addEventListener("click", () => zoom(root, false));
  for (const radio of document.querySelectorAll("input[name=weight]")) {
    radio.addEventListener("change", () => { weight = radio.value; draw(); });
  }
  $("flame-bar").hidden = false;
  $("flame-hint").hidden = false;
  const grow = () => {
    plant();
    zoomed = root;
    draw();
  };
  addEventListener("resize", draw);
  filter();
})();
