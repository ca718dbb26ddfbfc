// Runs after all other parts: starts the page.
const theme = parameters.get("theme");
if (["night", "dark", "light"].includes(theme)) document.documentElement.dataset.theme = theme;
document.body.classList.toggle("wall", parameters.get("view") === "wall");
const toggled = (name, value) => {
  const other = new URLSearchParams(parameters);
  if (other.get(name) === value) other.delete(name); else other.set(name, value);
  return "?" + other;
};
at("wall").href = toggled("view", "wall");
at("night").href = toggled("theme", "night");
if (theme === "night") put(at("night"), "Day");
for (const id of ["search", "stopped"]) at(id).addEventListener("input", later);
connect();
readPast();
route();
