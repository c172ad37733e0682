/*
 * dom.js - elements from data, and one tree made to look like another.
 *
 * Views build a fresh tree each time data come; morph() changes only what differs in the one that
 * is shown, so nothing flickers, and focus, selection and scroll position stay.  Events are
 * delegated: an element says data-do="ack", and main.js knows what that means.
 *
 * Everything foreign (labels, log lines, command lines) goes in as text nodes or attribute values,
 * never as HTML.
 */

const SVG = 'http://www.w3.org/2000/svg';

function put(node, kids) {
  for (const kid of kids) {
    if (kid === null || kid === undefined || kid === false) continue;
    if (Array.isArray(kid)) put(node, kid);
    else node.append(kid instanceof Node ? kid : document.createTextNode(String(kid)));
  }
  return node;
}

function dress(node, props) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'css') {
      for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
    } else if (name === 'value') {
      node.setAttribute('value', value);
      node.value = value;
    } else {
      node.setAttribute(name, value === true ? '' : String(value));
    }
  }
  return node;
}

/* h('td', {class: 'num'}, text, [more, nodes]): null, undefined and false leave nothing. */
export function h(tag, props, ...kids) {
  return put(dress(document.createElement(tag), props), kids);
}

export function svg(tag, props, ...kids) {
  return put(dress(document.createElementNS(SVG, tag), props), kids);
}

function same_kind(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && key_of(a) === key_of(b);
}

function key_of(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute('data-key') : null;
}

/* Whether a <details> is open is the reader's business. */
function is_readers(node, name) {
  return name === 'style' || (name === 'open' && node.nodeName === 'DETAILS');
}

function morph_attributes(node, wanted) {
  for (const {name} of [...node.attributes]) {
    if (!is_readers(node, name) && !wanted.hasAttribute(name)) node.removeAttribute(name);
  }
  for (const {name, value} of wanted.attributes) {
    if (!is_readers(node, name) && node.getAttribute(name) !== value)
      node.setAttribute(name, value);
  }
  /* The policy forbids style attributes as text, not the object behind them. */
  if (node.style.cssText !== wanted.style.cssText) node.style.cssText = wanted.style.cssText;
}

function morph_node(node, wanted) {
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.data !== wanted.data) node.data = wanted.data;
    return;
  }
  if (node.nodeType !== Node.ELEMENT_NODE) return;
  morph_attributes(node, wanted);
  /* An island lives its own life; so does what somebody is typing into. */
  if (node.hasAttribute('data-island')) return;
  if ('value' in node && node.nodeName !== 'LI' && node !== document.activeElement &&
      node.value !== wanted.value) node.value = wanted.value;
  morph(node, [...wanted.childNodes]);
}

/* Makes the children of `parent` look like `wanted` (nodes that are used up). */
export function morph(parent, wanted) {
  const keyed = new Map();
  for (const node of parent.childNodes) {
    const key = key_of(node);
    if (key !== null) keyed.set(key, node);
  }
  let here = parent.firstChild;
  for (const next of wanted) {
    const key = key_of(next);
    const known = key !== null ? keyed.get(key) : null;
    if (known && known !== here && same_kind(known, next)) parent.insertBefore(known, here);
    const candidate = known && same_kind(known, next) ? known : here;
    if (candidate && same_kind(candidate, next)) {
      morph_node(candidate, next);
      here = candidate.nextSibling;
    } else {
      parent.insertBefore(next, here);
    }
  }
  while (here) {
    const gone = here;
    here = here.nextSibling;
    gone.remove();
  }
}
