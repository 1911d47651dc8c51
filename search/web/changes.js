// How two rankings of one query differ.

/**
 * Pair up what two lists show: [{id, left, right}] with ranks from 1, null where a list does not
 * have the document. Of each list the first `shown` are looked at; ranks are told as far as the
 * lists go.
 */
export function changes(left, right, shown) {
  const ranks = [left, right].map((ids) => new Map(ids.map((id, place) => [id, place + 1])));
  const seen = new Set([...left.slice(0, shown), ...right.slice(0, shown)]);
  return [...seen].map((id) => ({
    id,
    left: ranks[0].get(id) ?? null,
    right: ranks[1].get(id) ?? null,
  }));
}

/** Say what became of a document from left to right: up, down, same, or onlyHere. */
export function kind({ left, right }) {
  if (left === null || right === null) return "onlyHere";
  if (left === right) return "same";
  return right < left ? "up" : "down";
}
