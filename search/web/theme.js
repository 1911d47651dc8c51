// Runs before the first paint, so that a chosen theme does not flash the other one.
try {
  const kept = localStorage.getItem("cloze.theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
} catch {
  // Storage can be forbidden; the system's theme holds then.
}
