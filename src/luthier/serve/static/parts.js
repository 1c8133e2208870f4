// Small parts of all pages. Text of people, models and rows only ever enters a page as text nodes, so that it stays text.

export const byId = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null)); // a string becomes a text node, whatever is in it
  return node;
}

export function announce(text) {
  byId("status").textContent = text;
}

/** As high as what is written in it. */
export function fitHeight(area) {
  area.style.height = "auto";
  area.style.height = area.scrollHeight + area.offsetHeight - area.clientHeight + "px"; // its borders are no part of the first
}
