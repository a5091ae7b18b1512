// A button with data-copy="id" copies the text of that element and says so.
const SHOWN_MS = 2000;

async function write(source) {
  const text = source.textContent.trim();
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No permission, or not a secure context: select it, so that one key press copies.
    getSelection().selectAllChildren(source);
    return false;
  }
}

export function mount(root) {
  const onClick = async (event) => {
    const button = event.target.closest("[data-copy]");
    const source = button && document.getElementById(button.dataset.copy);
    if (!source) return;
    const label = button.querySelector("[data-copy-label]");
    const before = label.textContent;
    label.textContent = (await write(source)) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (label.textContent = before), SHOWN_MS);
  };
  root.addEventListener("click", onClick);
  return () => root.removeEventListener("click", onClick);
}
