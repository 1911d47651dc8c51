// Scores and times as short as they can be read.

/** A score with three or four digits that tell. */
export function score(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return minus(value.toFixed(digits));
}

/** Milliseconds: whole ones from 10 on. */
export const milliseconds = (value) => value.toFixed(value < 10 ? 1 : 0);

/** A number with the minus sign that is as wide as a plus. */
export const minus = (text) => text.replace(/^-/, "−");
