// Small things to build a page from.

/** An element with these properties and children. aria: its role and `aria-` attributes. */
export function make(tag, { aria = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(aria)) {
    element.setAttribute(name === "role" ? name : `aria-${name}`, value);
  }
  element.append(...children);
  return element;
}

export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e5 ? 2 : 1)} MB`;
