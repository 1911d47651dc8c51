// A text with its matching words marked; all of it stays text.
import { utf16Offsets } from "./codepoints.js";
import { element } from "./dom.js";

/**
 * Cut a text into runs {text, marked}. `spans` are code points [start, end) of the document,
 * sorted and disjoint; the text begins at code point `begin` of it. Spans are clipped to the text.
 */
export function runs(text, begin, spans) {
  const places = spans.flatMap((span) => [
    Math.max(0, span.start - begin),
    Math.max(0, span.end - begin),
  ]);
  const offsets = utf16Offsets(text, places);
  const found = [];
  let done = 0;
  for (let each = 0; each < offsets.length; each += 2) {
    const [start, end] = [offsets[each], offsets[each + 1]];
    if (end <= start) continue;
    if (start > done) found.push({ text: text.slice(done, start), marked: false });
    found.push({ text: text.slice(start, end), marked: true });
    done = end;
  }
  if (done < text.length) found.push({ text: text.slice(done), marked: false });
  return found;
}

/** Return the runs as nodes, marked ones in <mark>. */
export function marked(text, begin, spans) {
  return runs(text, begin, spans).map((run) =>
    run.marked ? element("mark", {}, run.text) : document.createTextNode(run.text),
  );
}
