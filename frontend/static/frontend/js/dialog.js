// Opens and closes native dialogs, and closes one when its form has been accepted.

function open(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  dialog.querySelector("[data-problem]")?.replaceChildren();
  dialog.showModal();
}

function onClick(event) {
  const opener = event.target.closest("[data-dialog-open]");
  if (opener) return open(opener.dataset.dialogOpen);
  const dialog = event.target.closest("dialog");
  // A press on the dialog itself, outside its content, is one on the backdrop.
  if (event.target.closest("[data-dialog-close]") || event.target === dialog) dialog?.close();
}

function afterRequest(event) {
  const { ctx } = event.detail;
  const dialog = ctx.sourceElement.closest("dialog");
  if (!dialog || ctx.response.status >= 400) return;
  dialog.close();
  ctx.sourceElement.reset?.();
}

// While an answer is on its way a second press must not send a second request.
function busy(event) {
  const form = event.detail.ctx.sourceElement.closest("form");
  const waiting = event.type === "htmx:before:request";
  form?.querySelectorAll("button[type=submit]").forEach((button) => (button.disabled = waiting));
}

export function mount(root) {
  root.addEventListener("click", onClick);
  root.addEventListener("htmx:after:request", afterRequest);
  root.addEventListener("htmx:before:request", busy);
  root.addEventListener("htmx:finally:request", busy);
}
