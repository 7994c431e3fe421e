// Making and finding elements; whatever comes from a fleet is set as text.

export const find = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Markup that the server has made of templates, escaped there.
export function show(id, html) {
  find(id).innerHTML = html;
}

export const money = (value) =>
  value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
export const percent = (value, digits) => `${(100 * value).toFixed(digits)} %`;

// What is wrong with the first of some fields that is not as it must be; null: nothing.
export function wrongField(fields) {
  const field = [...fields].find((one) => !one.checkValidity());
  if (!field) return null;
  const name = field.getAttribute("aria-label") ?? field.labels?.[0]?.textContent.trim() ?? field.name;
  return { text: `${name}: ${field.validationMessage}` };
}

// Faults in a box, each leading to its line where there is a text.
export function showFaults(id, faults, text = null) {
  const box = find(id);
  box.hidden = faults.length === 0;
  const items = faults.map((fault) => {
    const line = fault.line ?? null;
    if (text === null || line === null) return make("li", {}, fault.text);
    return make("li", {}, make("button", { type: "button", onclick: () => goTo(text, line) }, fault.text));
  });
  const words = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  box.replaceChildren(...(faults.length ? [make("strong", {}, words), make("ul", {}, ...items)] : []));
}

function goTo(area, line) {
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  area.focus();
  area.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
  area.scrollTop = (area.scrollHeight / Math.max(lines.length, 1)) * Math.max(line - 4, 0);
}
