// Spans come as code points of a text (Python's strings); JavaScript's strings are UTF-16.

/** Return the UTF-16 offset of each code point offset, in one pass; beyond the end is the end. */
export function utf16Offsets(text, places) {
  const order = places.map((_, which) => which).sort((a, b) => places[a] - places[b]);
  const offsets = new Array(places.length);
  let unit = 0;
  let point = 0;
  for (const which of order) {
    while (point < places[which] && unit < text.length) {
      unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
      point += 1;
    }
    offsets[which] = unit;
  }
  return offsets;
}

/** Return text[start:end] with both in code points. */
export function slice(text, start, end) {
  const [first, last] = utf16Offsets(text, [start, end]);
  return text.slice(first, last);
}
