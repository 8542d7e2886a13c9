// Loaded before the first paint, so that a remembered theme does not flash the other one.
try {
  const theme = localStorage.getItem("rivulet.theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // Site data is blocked: the system's preference holds.
}
