// Mounts behaviour on whatever names it with data-module, now and after each swap.
import { mount as chart } from "./chart.js";
import { mount as copy } from "./copy.js";
import { mount as dialog } from "./dialog.js";
import { mount as keys } from "./keys.js";
import { mount as live } from "./live.js";
import { mount as theme } from "./theme.js";
import { mount as times } from "./times.js";

const modules = { chart, copy, dialog, keys, live, theme, times };
const mounted = new Map();

function mountAll() {
  for (const [element, cleanups] of mounted) {
    if (element.isConnected) continue;
    cleanups.forEach((cleanup) => cleanup?.());
    mounted.delete(element);
  }
  for (const element of document.querySelectorAll("[data-module]")) {
    if (mounted.has(element)) continue;
    const names = element.dataset.module.split(/\s+/);
    mounted.set(
      element,
      names.map((name) => modules[name]?.(element)),
    );
  }
}

document.addEventListener("htmx:after:swap", mountAll);
mountAll();
