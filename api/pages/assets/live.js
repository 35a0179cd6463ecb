// Live pages: events that are recorded bring their page up to date.
//
// A page says with `data-live` which stream it follows, with `data-live-types` which events change it, and with `data-live-part` which of its elements are taken from a
// fresh copy of it. If the reader has scrolled, unfolded or typed something, a button waits in place of the change.
// Without this file a page is complete, and shows what was known when it was read.
(() => {
  const main = document.querySelector("main[data-live]");
  const mark = document.querySelector("[data-live-mark]");
  if (!main || !mark || !window.EventSource) return;
  const nonce = document.currentScript.nonce;
  const texts = mark.dataset;
  const SETTLE_MS = 300;
  const ANNOUNCE_MS = 10_000;
  let source = null;
  let last = main.dataset.liveAfter;
  let waiting = 0;
  let timer = null;
  let announced = 0;

  const say = (text) => {
    const now = Date.now();
    if (now - announced < ANNOUNCE_MS) return;
    announced = now;
    document.querySelector("[data-live-region]").textContent = text;
  };
  const show = (isLive) => {
    mark.hidden = false;
    mark.classList.toggle("live-off", !isLive);
    const time = new Date().toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
    if (isLive) mark.textContent = texts.on;
    else if (!mark.textContent.startsWith(texts.off.split("%")[0])) mark.textContent = texts.off.replace("%", time);
  };
  // What somebody reads, unfolds or types must not move away under them.
  const isScrolled = () => window.scrollY > 200;
  const isInUse = (part) => part.querySelector("tr.unfold, details[open]") !== null || part.contains(document.activeElement);
  // Not even when they ask for what is new: what was typed is nowhere else.
  const isTyped = (part) => [...part.querySelectorAll("input:not([type=hidden]), textarea")]
    .some((field) => field.value !== field.defaultValue);
  const wait = (text) => {
    let button = document.querySelector("[data-live-waiting]");
    if (!button) {
      button = document.createElement("button");
      button.type = "button";
      button.className = "btn btn-small";
      button.dataset.liveWaiting = "";
      button.dataset.testid = "page-refresh";
      button.addEventListener("click", () => refresh(true).catch(stop));
      mark.after(button);
    }
    button.textContent = text;
  };
  const trusted = (copy) => copy.querySelector("script[nonce]")?.getAttribute("nonce");

  async function refresh(isWanted) {
    const count = waiting;
    let isComplete = true;
    waiting = 0;
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin", redirect: "manual" });
    if (!answer.ok) return stop();
    const copy = new DOMParser().parseFromString(await answer.text(), "text/html");
    const theirs = trusted(copy);
    for (const part of document.querySelectorAll("main [data-live-part][id]")) {
      const fresh = copy.getElementById(part.id);
      if (!fresh) continue;
      if (isTyped(part) || (!isWanted && isInUse(part))) {
        isComplete = isComplete && (isWanted || fresh.textContent === part.textContent);
        continue;
      }
      const known = new Set([...part.querySelectorAll("tbody tr")].map((row) => row.textContent));
      for (const row of fresh.querySelectorAll("tbody tr")) if (!known.has(row.textContent)) row.classList.add("fresh");
      // htmx takes orders from elements with the nonce of this page alone; those of the copy have its own.
      for (const element of fresh.querySelectorAll("[hx-nonce]")) {
        if (element.getAttribute("hx-nonce") === theirs) element.setAttribute("hx-nonce", nonce);
      }
      part.replaceWith(document.adoptNode(fresh));
      window.htmx?.process(document.getElementById(part.id));
    }
    const foot = copy.querySelector("[data-testid=page-sequence]");
    if (isComplete) document.querySelector("[data-live-waiting]")?.remove();
    else { waiting += count; wait(texts.waiting.replace("%", waiting)); }
    if (foot) document.querySelector("[data-testid=page-sequence]")?.replaceWith(document.adoptNode(foot));
  }

  function arrived(event) {
    last = event.lastEventId;
    waiting += 1;
    const text = texts.waiting.replace("%", waiting);
    say(text);
    if (isScrolled()) wait(text);
    else timer ??= setTimeout(() => { timer = null; refresh(false).catch(stop); }, SETTLE_MS);
  }

  function stop() {
    source?.close();
    source = null;
    show(false);
  }

  function start() {
    if (source || document.hidden) return;
    const address = new URL(main.dataset.live, location.href);
    address.searchParams.set("after", last);
    source = new EventSource(address);
    source.addEventListener("open", () => show(true));
    source.addEventListener("error", () => show(false));
    // The credential or the session has ended: signing in again begins anew.
    source.addEventListener("end", stop);
    for (const type of main.dataset.liveTypes.split(",")) source.addEventListener(type, arrived);
  }

  // Browsers open few connections to one server: a page that nobody sees holds none.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { source?.close(); source = null; } else start();
  });
  window.addEventListener("pagehide", () => { source?.close(); source = null; });
  window.addEventListener("pageshow", start);
})();
