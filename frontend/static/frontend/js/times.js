// Keeps "3 min ago" true. The server writes the first text and the exact moment as the title.
const UNITS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
];

export function ago(seconds) {
  if (seconds < 10) return "just now";
  for (const [size, unit] of UNITS) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return `${Math.floor(seconds)} s ago`;
}

function update() {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const text = ago(Math.max(0, (Date.now() - Date.parse(element.dateTime)) / 1000));
    if (element.textContent !== text) element.textContent = text;
  }
}

export function mount() {
  const timer = setInterval(update, 5000);
  return () => clearInterval(timer);
}
