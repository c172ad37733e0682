/*
 * expression.js - an alert's expression, cut where it compares: the left side is what is watched,
 * a number on the right is the threshold.
 *
 *     1 - avg(rate(x[1m])) > 0.9    ->  {left: '1 - avg(rate(x[1m]))', operator: '>', threshold: 0.9}
 *
 * null where the outermost operator is no single comparison (a and b, a > b > c): then the
 * expression is shown as it is.
 */

/* Indices of the text that lie outside strings, brackets and comments. */
function outermost(text) {
  const outside = new Array(text.length).fill(false);
  let depth = 0;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quote !== '') {
      if (c === '\\' && quote !== '`') i++;
      else if (c === quote) quote = '';
    } else if (c === '"' || c === "'" || c === '`') {
      quote = c;
    } else if (c === '#') {
      while (i < text.length && text[i] !== '\n') i++;
    } else if ('([{'.includes(c)) {
      depth++;
    } else if (')]}'.includes(c)) {
      depth--;
    } else {
      outside[i] = depth === 0;
    }
  }
  return outside;
}

export function split_comparison(text) {
  const outside = outermost(text);
  const pattern = /\b(?:and|or|unless)\b|[<>]=?|[!=]=/gi;
  let found = null;
  for (let match; (match = pattern.exec(text)) !== null;) {
    if (!outside[match.index]) continue;
    if (found !== null || /[a-z]/i.test(match[0])) return null;
    found = match;
  }
  if (found === null) return null;
  const right = text.slice(found.index + found[0].length).replace(/^\s*bool\b/, '')
    .replace(/#[^\n]*/g, '').trim();
  const threshold = /^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(right) ? Number(right) : null;
  return {left: text.slice(0, found.index).trim(), operator: found[0], threshold};
}
