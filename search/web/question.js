// What the page asks the service for, by its state and by what the index has.

const MOST_FIELDS = 8;
const COMPARED = 30; // hits fetched a side, so that a change of rank is known beyond those shown

/** The fields to count values of: those that most documents have. */
function facetFields(index) {
  const fields = [...(index.fields ?? [])].sort((a, b) => b.documents - a.documents);
  return fields.slice(0, Math.min(MOST_FIELDS, index.limits.facets)).map((field) => field.name);
}

/** A filter that all chosen values pass, null without any. */
function filterOf(filters) {
  if (!filters.length) return null;
  return { and: filters.map(({ field, value }) => ({ [field]: { eq: value } })) };
}

/** The way to search that the state names, the server's default where it names none. */
export function wayOf(state, index) {
  return {
    mode: state.mode ?? index.modes[0],
    rerank: index.rerankers.length > 1 ? (state.rerank ?? defaultReranker(index)) : null,
  };
}

/** The index's own reranker; one that it names by a checkpoint is served as the cross-encoder. */
function defaultReranker({ defaults, rerankers }) {
  const named = defaults.rerank ?? "none";
  if (rerankers.includes(named)) return named;
  return rerankers.includes("cross-encoder") ? "cross-encoder" : "none";
}

/** All ways to search that the index offers. */
export function waysOf(index) {
  const rerankers = index.rerankers.filter((name) => name !== "none");
  return index.modes.flatMap((mode) =>
    rerankers.length
      ? ["none", ...rerankers].map((rerank) => ({ mode, rerank }))
      : [{ mode, rerank: null }],
  );
}

/** The body of a search; the answer's facets are counted only where they are shown. */
export function searchBody(state, index) {
  const fields = facetFields(index);
  return {
    ...body(state, wayOf(state, index)),
    top: Math.min(state.top, index.limits.top),
    ...(fields.length && { facets: fields }),
  };
}

/** The bodies of the two searches of the compare view. */
export const compareBodies = (state, index) =>
  state.compare.map((way) => ({ ...body(state, way), top: Math.min(COMPARED, index.limits.top) }));

/** The body of a search for one hit alone, explained. */
export const explainBody = (state, way, rank) => ({
  ...body(state, way),
  top: 1,
  offset: rank - 1,
  explain: true,
});

function body(state, { mode, rerank }) {
  const filter = filterOf(state.filters);
  return {
    query: state.query,
    mode,
    ...(rerank !== null && { rerank }),
    ...(filter && { filter }),
  };
}
