// Draws figures that the server made. Colours are taken from the page's tokens when drawing, so a
// change of theme is one redraw; live frames add points; the window slides with the clock.

const MOST_POINTS = 300;
const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };

function ink(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

// A line needs two ends: one second of traffic between two without any would not be seen.
const lonely = (y) =>
  y.map((value, index) => (value != null && y[index - 1] == null && y[index + 1] == null ? 5 : 0));

function painted(figure, windowMs, narrow) {
  const [text, grid, line, marker, surface] = [
    "text-muted",
    "chart-grid",
    "line-strong",
    "chart-marker",
    "surface-raised",
  ].map(ink);
  const { layout } = figure;
  const now = Date.now();
  const axis = { gridcolor: grid, linecolor: line, zerolinecolor: grid };
  return {
    data: figure.data.map((trace) => {
      const colour = ink(trace.meta.ink);
      const dots = { color: colour, size: lonely(trace.y), line: { width: 0 } };
      return { ...trace, mode: "lines+markers", line: { ...trace.line, color: colour }, marker: dots };
    }),
    layout: {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { ...layout.font, color: text, family: getComputedStyle(document.body).fontFamily },
      hoverlabel: { bgcolor: surface, bordercolor: line, font: { color: ink("text") } },
      xaxis: { ...layout.xaxis, ...axis, range: [now - windowMs, now], nticks: narrow ? 4 : 6 },
      yaxis: { ...layout.yaxis, ...axis },
      shapes: (layout.shapes || []).map((shape) => ({ ...shape, line: { ...shape.line, color: marker } })),
      annotations: (layout.annotations || []).map((note) => ({ ...note, font: { ...note.font, color: text } })),
    },
  };
}

function merge({ x, y }, moment, value) {
  const at = x.lastIndexOf(moment);
  if (at >= 0) y[at] = value;
  else if (!x.length || moment > x.at(-1)) [x.push(moment), y.push(value)];
}

class Charts {
  constructor(root) {
    this.root = root;
    this.plots = [...root.querySelectorAll("[data-chart]")];
    this.figures = null;
    this.seen = new Set();
    this.windowMs = 1000 * Number(root.dataset.seconds || 300);
    this.watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        this.seen[isIntersecting ? "add" : "delete"](target);
      }
      this.draw();
    });
    this.plots.forEach((plot) => this.watcher.observe(plot));
  }

  async load() {
    try {
      const response = await fetch(this.root.dataset.src, { headers: { "X-Slipway-Background": "1" } });
      if (!response.ok) throw new Error(`answered ${response.status}`);
      this.figures = (await response.json()).figures;
      this.root.dataset.state = "ready";
      this.problem("");
      this.draw();
    } catch (error) {
      this.root.dataset.state = "failed";
      this.problem(`The chart could not be loaded (${error.message}). It is tried again in 10 s.`);
      this.retry = setTimeout(() => this.load(), 10000);
    }
  }

  problem(text) {
    const place = this.root.querySelector("[data-chart-problem]");
    if (place) [place.textContent, place.hidden] = [text, !text];
  }

  draw() {
    if (!this.figures || document.hidden) return;
    for (const plot of this.plots) {
      const figure = this.figures[plot.dataset.chart];
      if (!figure || !this.seen.has(plot)) continue;
      const { data, layout } = painted(figure, this.windowMs, plot.clientWidth < 480);
      window.Plotly.react(plot, data, layout, CONFIG);
    }
  }

  // A frame holds one second: for each release the value of each measure.
  add({ at, releases }) {
    if (!this.figures) return;
    const oldest = Date.now() - this.windowMs - 5000;
    const known = new Set();
    for (const { data } of Object.values(this.figures)) {
      for (const trace of data) {
        const { release, measure } = trace.meta;
        known.add(release);
        if (releases[release]) merge(trace, 1000 * at, releases[release][measure] ?? null);
        while (trace.x.length > MOST_POINTS || trace.x[0] < oldest) {
          trace.x.shift();
          trace.y.shift();
        }
      }
    }
    // Someone new serves: the server knows its name, its colour and the marker of the switch.
    if (Object.keys(releases).some((release) => !known.has(release))) this.load();
    this.root.dataset.newest = String(at);
    this.draw();
  }
}

export function mount(root) {
  const charts = new Charts(root);
  const onFrame = ({ detail }) => {
    if (detail.topic === root.dataset.frames) charts.add(detail.points);
  };
  const reload = () => charts.load();
  const redraw = () => charts.draw();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  document.addEventListener("slipway:frame", onFrame);
  document.addEventListener("slipway:theme", redraw);
  dark.addEventListener("change", redraw);
  root.addEventListener("refresh", reload);
  // One redraw a second moves the window, whether or not a frame has come.
  const clock = setInterval(redraw, 1000);
  charts.load();
  return () => {
    [clearInterval(clock), clearTimeout(charts.retry), charts.watcher.disconnect()];
    document.removeEventListener("slipway:frame", onFrame);
    document.removeEventListener("slipway:theme", redraw);
    dark.removeEventListener("change", redraw);
    charts.plots.forEach((plot) => window.Plotly.purge(plot));
  };
}
