// System, Light or Dark: at once here, remembered by the server for the next page.

function show(form, theme) {
  document.documentElement.dataset.theme = theme;
  for (const button of form.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.value === theme));
  }
  document.dispatchEvent(new CustomEvent("slipway:theme"));
}

export function mount(form) {
  const onSubmit = (event) => {
    const theme = event.submitter?.value;
    if (!theme) return;
    event.preventDefault();
    show(form, theme);
    const body = new FormData(form);
    body.set("theme", theme);
    fetch(form.action, { method: "POST", body, redirect: "manual" }).catch(() => {});
  };
  form.addEventListener("submit", onSubmit);
  return () => form.removeEventListener("submit", onSubmit);
}
