// What all parts use: elements, numbers for people, the clipboard.

const $ = (id) => document.getElementById(id);

// Text from the dump only ever becomes text.
const make = (tag, props, ...children) => {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined) continue;
    if (key === "class") element.className = value;
    else if (key === "text") element.textContent = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
};

const thousands = new Intl.NumberFormat("en-US");
const number = (n) => thousands.format(n);
const plural = (n, what) => `${number(n)} ${what}${n === 1 ? "" : "s"}`;
const blocks = (n) => plural(n, "block");

// 354689 as "346.4 KiB".
const sizeText = (bytes) => {
  if (Math.abs(bytes) < 1024) return `${bytes} ${Math.abs(bytes) === 1 ? "byte" : "bytes"}`;
  let value = bytes;
  let unit = "";
  for (unit of ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]) {
    value /= 1024;
    // What rounds to 1024.0 is one of the next unit.
    if (Math.abs(value) < 1023.95) break;
  }
  return `${value.toFixed(1)} ${unit}`;
};
const exact = (bytes) => plural(bytes, "byte");
const sizeOf = (bytes) => make("span", { text: sizeText(bytes), title: exact(bytes) });
const signed = (n, text) => (n > 0 ? `+${text}` : text);

// "100 %" and "0 %" only if it is exactly that.
const percent = (part, whole) => {
  if (part <= 0 || whole <= 0) return "0 %";
  if (part >= whole) return "100 %";
  return `${Math.min(99.9, Math.max(0.1, (100 * part) / whole)).toFixed(1)} %`;
};

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
    const area = make("textarea", { class: "off", "aria-label": "Text to copy" });
    area.value = text;
    document.body.append(area);
    area.select();
    say(document.execCommand("copy") ? "copied" : "not copied");
    area.remove();
    button.focus();
  }
};
const copyButton = (words, text) => {
  const button = make("button", { type: "button", class: "copy", text: words });
  button.addEventListener("click", (event) => { event.stopPropagation(); copy(text(), button); });
  return button;
};

// Radio buttons in a row.
const segments = (id, choices, chosen) => {
  for (const [value, words, title] of choices) {
    const input = make("input", { type: "radio", name: id, value });
    input.addEventListener("change", () => chosen(value));
    $(id).append(make("label", { title }, input, make("span", { text: words })));
  }
};
