// What the pages do better with a script: they stay fresh. Everything works without it.
(() => {
  "use strict";
  const root = document.documentElement;
  const base = root.dataset.base || "";
  const watched = document.body.dataset.watch;
  const QUIET_MS = 250; // events come in bursts: one refresh serves them
  const AGO_MS = 20000;

  // --- times seen from now ---

  const words = new Intl.RelativeTimeFormat(root.lang, { numeric: "auto", style: "long" });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];

  function fromNow(at) {
    const seconds = (new Date(at).getTime() - Date.now()) / 1000;
    for (const [unit, size] of units) {
      if (Math.abs(seconds) >= size) return words.format(Math.trunc(seconds / size), unit);
    }
    return null;
  }

  function freshenTimes() {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const text = fromNow(time.dateTime);
      if (text !== null && time.textContent !== text) time.textContent = text;
    }
  }

  // --- live regions: what changed on the server replaces what is here, unless somebody is writing in it ---

  function busy(region) {
    if (region.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) return true;
    return [...region.querySelectorAll("textarea, input:not([type=hidden])")].some((field) => field.value !== field.defaultValue);
  }

  function adopt(region, fresh) {
    const open = new Set([...region.querySelectorAll("details[open][id]")].map((fold) => fold.id));
    const focused = region.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const placed = document.importNode(fresh, true);
    region.replaceWith(placed);
    for (const fold of placed.querySelectorAll("details[id]")) if (open.has(fold.id)) fold.open = true;
    if (focused) [...placed.querySelectorAll("a[href]")].find((link) => link.getAttribute("href") === focused)?.focus();
  }

  function merge(page) {
    for (const region of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(region.id);
      if (fresh && !busy(region) && fresh.innerHTML !== region.innerHTML) adopt(region, fresh);
    }
    freshenTimes();
  }

  let pending = 0;
  let running = false;

  async function refresh() {
    if (running) return later();
    running = true;
    try {
      const got = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (got.redirected && new URL(got.url).pathname.endsWith("/sign-in")) return void location.reload();
      if (got.ok) merge(new DOMParser().parseFromString(await got.text(), "text/html"));
    } catch {
      show(false);
    } finally {
      running = false;
    }
  }

  function later() {
    clearTimeout(pending);
    pending = setTimeout(refresh, QUIET_MS);
  }

  // --- the stream ---

  const lamp = document.getElementById("live");
  let stream = null;

  function show(on) {
    if (!lamp) return;
    lamp.hidden = false;
    lamp.classList.toggle("on", on);
    lamp.textContent = on ? lamp.dataset.on : lamp.dataset.off;
  }

  function listen() {
    stream = new EventSource(`${base}/live`);
    // The page was made before the stream: what happened in between, or while it was broken, is looked at once more.
    stream.addEventListener("ready", () => {
      show(true);
      later();
    });
    stream.addEventListener("error", () => show(false));
    stream.addEventListener("event", (message) => {
      if (watched === "all" || JSON.parse(message.data).task_id === watched) later();
    });
  }

  function attend() {
    // Browsers allow six connections to a host: a page that nobody looks at gives its own back.
    if (document.hidden) {
      stream?.close();
      stream = null;
    } else if (!stream) {
      listen();
      later();
    }
  }

  freshenTimes();
  setInterval(freshenTimes, AGO_MS);
  if (watched && lamp) {
    document.addEventListener("visibilitychange", attend);
    if (!document.hidden) listen();
  }

  // --- small comforts ---

  document.addEventListener("click", (click) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(click.target)) menu.open = false;
  });
  document.addEventListener("keydown", (key) => {
    if (key.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    if (key.key === "Enter" && (key.ctrlKey || key.metaKey) && key.target.id === "text") key.target.form.requestSubmit();
  });
  document.addEventListener("submit", (submit) => {
    // One press is one decision, however often the button is pressed.
    if (submit.target.method !== "post") return;
    if (submit.target.dataset.sent) submit.preventDefault();
    submit.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
})();
