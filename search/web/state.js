// What the page shows, as its address has it: everything that a link should share.

export const PAGE = 10;
const MOST = 100;

/**
 * Read the state from an address's query string; what makes no sense there is as if absent.
 *
 * `mode` and `rerank` are null for the server's default, `filters` are [{field, value}] that must
 * all hold, `compare` is null or two ways to search, each {mode, rerank}; `open` is the id of the
 * document in view, or null.
 */
export function parseState(search) {
  const fields = new URLSearchParams(search);
  return {
    query: fields.get("q") ?? "",
    mode: fields.get("mode"),
    rerank: fields.get("rerank"),
    filters: [...fields]
      .filter(([name]) => name.startsWith("f."))
      .map(([name, text]) => ({ field: name.slice(2), value: parseValue(text) })),
    compare: parseWays(fields.get("compare")),
    open: fields.get("doc"),
    top: parseTop(fields.get("top")),
  };
}

/** Write a state as a query string, "" for the start page. */
export function formatState(state) {
  const fields = new URLSearchParams();
  if (state.query) fields.set("q", state.query);
  if (state.mode !== null) fields.set("mode", state.mode);
  if (state.rerank !== null) fields.set("rerank", state.rerank);
  for (const { field, value } of state.filters) fields.append(`f.${field}`, formatValue(value));
  if (state.compare) fields.set("compare", state.compare.map(formatWay).join(","));
  if (state.top !== PAGE) fields.set("top", String(state.top));
  if (state.open !== null) fields.set("doc", state.open);
  const text = fields.toString();
  return text && `?${text}`;
}

/** A metadata value as JSON, a string bare unless it would then be read as something else. */
export function formatValue(value) {
  if (typeof value !== "string") return JSON.stringify(value);
  return parseValue(value) === value ? value : JSON.stringify(value);
}

function parseValue(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" ? text : value;
  } catch {
    return text;
  }
}

/** A way to search as one word: a mode, or a mode and a reranker. */
export const formatWay = ({ mode, rerank }) => (rerank === null ? mode : `${mode}.${rerank}`);

function parseWay(text) {
  const dot = text.indexOf(".");
  if (dot < 0) return { mode: text, rerank: null };
  return { mode: text.slice(0, dot), rerank: text.slice(dot + 1) };
}

function parseWays(text) {
  const ways = (text ?? "").split(",");
  return ways.length === 2 && ways.every(Boolean) ? ways.map(parseWay) : null;
}

function parseTop(text) {
  const top = Number(text);
  return Number.isInteger(top) && top > PAGE ? Math.min(top, MOST) : PAGE;
}

/** Tell whether more hits may be asked for. */
export const mayGrow = (state) => state.top < MOST;
