// One socket per tab. It brings hints ("this topic is at revision 7") and chart frames; what a page
// shows always comes from its own address, so a lost message costs a refetch and nothing else.

const FIRST_MS = 500;
const LONGEST_MS = 30000;
const POLL_MS = 10000;
const POLL_AFTER = 3;
const HIDDEN_MS = 5000;
const SAID = {
  4401: "You are signed out. Sign in again to see changes as they happen.",
  4403: "You may no longer see what is on this page. Reload it.",
  4404: "What is on this page no longer exists. Reload it.",
};

const regions = () => [...document.querySelectorAll("[data-topic]")];
const refetch = (region) => region.dispatchEvent(new CustomEvent("refresh"));

class Live {
  constructor(root) {
    this.root = root;
    this.socket = null;
    this.topics = new Set();
    this.failures = 0;
    this.ended = false;
    this.opened = false;
  }

  connect() {
    if (this.socket || this.ended || document.hidden) return;
    const url = new URL(this.root.dataset.socket, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url);
    this.socket.onopen = () => this.onOpen();
    this.socket.onmessage = (event) => this.onMessage(JSON.parse(event.data));
    this.socket.onclose = (event) => this.onClose(event.code);
  }

  onOpen() {
    clearInterval(this.poll);
    this.topics.clear();
    this.subscribe();
    // Whatever happened while nobody listened is on the server: ask for all of it again.
    // (The server answers each subscription with a hint, so the page fetches once more, not twice.)
    this.opened = true;
    this.failures = 0;
    this.say("");
    this.root.dataset.live = "on";
  }

  subscribe() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const named = regions().flatMap(({ dataset }) => [dataset.topic, dataset.frames ?? dataset.topic]);
    const wanted = new Set(named);
    const added = [...wanted].filter((topic) => !this.topics.has(topic));
    const gone = [...this.topics].filter((topic) => !wanted.has(topic));
    if (added.length) this.send("subscribe", added);
    if (gone.length) this.send("unsubscribe", gone);
    this.topics = wanted;
  }

  send(type, topics) {
    this.socket.send(JSON.stringify({ type, topics }));
  }

  onMessage(message) {
    if (message.type === "frame") {
      document.dispatchEvent(new CustomEvent("slipway:frame", { detail: message }));
    } else if (message.type === "snapshot") {
      regions().forEach(refetch);
    } else if (message.type === "changed") {
      for (const region of regions()) {
        if (region.dataset.topic !== message.topic) continue;
        // Revision 0 says "changed, uncounted": always newer than what is shown.
        if (!message.revision || !(Number(region.dataset.revision) >= message.revision)) refetch(region);
      }
    }
  }

  onClose(code) {
    this.socket = null;
    this.root.dataset.live = "off";
    if (SAID[code]) {
      this.ended = true;
      clearInterval(this.poll);
      return this.say(SAID[code]);
    }
    if (document.hidden) return;
    this.failures += 1;
    if (this.failures > 1) this.say(`Live updates paused – retrying (${this.failures})`);
    if (this.failures === POLL_AFTER) this.poll = setInterval(() => this.pollAll(), POLL_MS);
    const limit = Math.min(LONGEST_MS, FIRST_MS * 2 ** (this.failures - 1));
    // Full jitter: after a restart of the server its visitors must not all return at once.
    setTimeout(() => this.connect(), Math.random() * limit);
  }

  pollAll() {
    if (!document.hidden) regions().forEach(refetch);
  }

  say(text) {
    const banner = this.root.querySelector("[data-live-text]");
    if (banner.textContent !== text) banner.textContent = text;
    this.root.querySelector("[data-live-banner]").hidden = text === "";
  }

  onVisibility() {
    clearTimeout(this.hidden);
    if (document.hidden) this.hidden = setTimeout(() => this.socket?.close(1000), HIDDEN_MS);
    else this.connect();
  }
}

// Regions whose numbers drift without an event name how many seconds old they may become.
function refreshAged(live) {
  if (document.hidden || live.ended) return;
  for (const region of document.querySelectorAll("[data-poll]")) {
    const due = Number(region.dataset.due || 0);
    if (Date.now() < due) continue;
    if (due) refetch(region);
    region.dataset.due = String(Date.now() + 1000 * Number(region.dataset.poll));
  }
}

export function mount(root) {
  const live = new Live(root);
  document.addEventListener("visibilitychange", () => live.onVisibility());
  document.addEventListener("htmx:after:swap", () => live.subscribe());
  setInterval(() => refreshAged(live), 1000);
  live.connect();
}
