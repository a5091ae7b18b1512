// Single keys that go somewhere or show something. None of them changes anything.

const GO_TO_MS = 1200;
let goTo = 0;

function typing(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

function follow(key) {
  const link = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
  link?.click();
  return link !== null;
}

function moveRow(by) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (!rows.length) return;
  const here = rows.findIndex((row) => row.contains(document.activeElement));
  const next = here < 0 ? (by > 0 ? 0 : rows.length - 1) : here + by;
  const row = rows[Math.max(0, Math.min(rows.length - 1, next))];
  row.querySelector("a")?.focus();
}

function search() {
  const field = document.querySelector("[data-search]");
  field?.focus();
  field?.select();
  return Boolean(field);
}

function help() {
  const dialog = document.getElementById("keys");
  if (dialog && !dialog.open) dialog.showModal();
  return Boolean(dialog);
}

function act(event) {
  if (Date.now() - goTo < GO_TO_MS) {
    goTo = 0;
    return follow(event.key);
  }
  switch (event.key) {
    case "g":
      goTo = Date.now();
      return true;
    case "/":
      return search();
    case "?":
      return help();
    case "j":
      moveRow(1);
      return true;
    case "k":
      moveRow(-1);
      return true;
    default:
      return false;
  }
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape" && typing(event.target)) return event.target.blur();
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  if (act(event)) event.preventDefault();
}

export function mount() {
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}
