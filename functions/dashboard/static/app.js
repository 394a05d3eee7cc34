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
      if (got.redirected && new URL(got.url).pathname.endsWith("/sign-in")) {
        // The session has ended. What is being written is not thrown away for it: the form itself leads to the sign-in.
        return busy(document.body) ? show(false) : void location.reload();
      }
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

  // --- what was not sent: a form that was refused is here again, and so is what was typed into it ---

  const unsent = document.getElementById("unsent");

  function formOf(action) {
    const actions = (form) => [form, ...form.querySelectorAll("[formaction]")].map((at) => at.getAttribute("formaction") ?? at.getAttribute("action"));
    return [...document.forms].find((form) => actions(form).includes(action));
  }

  function putBack() {
    const form = formOf(unsent.dataset.action);
    const fields = [...unsent.querySelectorAll("[data-field]")].map((kept) => [kept, form?.elements.namedItem(kept.dataset.field)]);
    for (const [kept, field] of fields) {
      if (!(field instanceof HTMLElement)) continue;
      field.value = kept.value;
      for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    }
    // What has a place of its own is not shown twice.
    unsent.hidden = fields.every(([, field]) => field instanceof HTMLElement);
    if (unsent.hidden) fields[0]?.[1].focus();
  }

  if (root.dataset.here) history.replaceState(null, "", root.dataset.here); // to load it anew sends nothing again
  if (unsent) putBack();

  async function reachable() {
    try {
      return (await fetch(`${base}/static/icon.svg`, { method: "GET", cache: "no-store", signal: AbortSignal.timeout(3000) })).status < 500;
    } catch {
      return false;
    }
  }

  // A page that has lost its server asks first: what is typed would be gone with the page.
  async function sendIfReachable(form, button) {
    if (await reachable()) {
      form.dataset.reached = "yes";
      return form.requestSubmit(button);
    }
    show(false);
    const says = document.getElementById("offline");
    says.textContent = says.dataset.says;
    says.className = "flash bad";
    says.setAttribute("role", "alert");
    document.getElementById("main").prepend(says);
    says.scrollIntoView({ block: "center" });
  }

  freshenTimes();
  setInterval(freshenTimes, AGO_MS);
  if (watched && lamp) {
    document.addEventListener("visibilitychange", attend);
    if (!document.hidden) listen();
  }

  // --- small comforts ---

  document.addEventListener("click", (click) => {
    for (const menu of document.querySelectorAll(":is(details.menu, details.sure)[open]")) if (!menu.contains(click.target)) menu.open = false;
  });
  document.addEventListener("keydown", (key) => {
    if (key.key === "Escape") for (const menu of document.querySelectorAll(":is(details.menu, details.sure)[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    if (key.key === "Enter" && (key.ctrlKey || key.metaKey) && key.target.id === "text") key.target.form.requestSubmit();
  });
  document.addEventListener("submit", (submit) => {
    // One press is one decision, however often the button is pressed.
    const form = submit.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) return submit.preventDefault();
    if (lamp && !lamp.classList.contains("on") && !form.dataset.reached) {
      submit.preventDefault();
      return void sendIfReachable(form, submit.submitter);
    }
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) {
      delete form.dataset.sent;
      delete form.dataset.reached;
    }
  });
})();
