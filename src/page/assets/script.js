// Live updates, copy buttons and the URLs of temporary endpoints. The page works without this script.
"use strict";

const main = document.getElementById("main");
const light = document.querySelector("header .live");

if (main) prepare();
if (main && "live" in main.dataset) follow();

function prepare() {
  // Only the browser has the part of the URL before the path that the service sees.
  for (const element of main.querySelectorAll("[data-path]")) {
    element.textContent = location.origin + location.pathname.replace(/\/$/, "") + element.dataset.path;
  }
  for (const button of main.querySelectorAll("button[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    });
  }
}

function follow() {
  let events;
  let isLoading = false;
  let isStale = false;

  const open = () => {
    if (events) return;
    events = new EventSource("?view=events");
    events.addEventListener("open", () => show(true));
    events.addEventListener("change", refresh);
    events.addEventListener("error", () => show(false));
  };
  const close = () => {
    events?.close();
    events = undefined;
  };
  const show = (isOpen) => {
    light.hidden = false;
    light.classList.toggle("lost", !isOpen);
    light.title = isOpen ? "updated live" : "not updated: the connection is lost";
    light.setAttribute("aria-label", light.title);
  };

  // A page in the background holds no connection, and is brought up to date when it is shown.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      close();
    } else {
      open();
      refresh();
    }
  });
  window.addEventListener("pagehide", close);
  document.addEventListener("focusout", () => isStale && setTimeout(refresh));
  open();

  async function refresh() {
    // What somebody is editing or selecting is not replaced.
    if (isLoading || isBusy()) {
      isStale = true;
      return;
    }
    isLoading = true;
    isStale = false;
    try {
      const response = await fetch(location.search || "?", { headers: { accept: "text/html" } });
      if (response.ok) replace(new DOMParser().parseFromString(await response.text(), "text/html"));
    } catch {
      show(false);
    } finally {
      isLoading = false;
    }
    if (isStale) setTimeout(refresh, 500);
  }
}

function isBusy() {
  const focused = document.activeElement;
  const isEditing = main.contains(focused) && focused.matches("input, select");
  const selection = document.getSelection();
  return isEditing || (!selection.isCollapsed && main.contains(selection.anchorNode));
}

function replace(page) {
  const next = page.getElementById("main");
  if (!next) return;
  const ids = (root) => [...root.querySelectorAll("[data-id]")].map((row) => row.dataset.id);
  const known = new Set(ids(main));
  const focused = main.contains(document.activeElement) ? address(document.activeElement) : undefined;
  main.replaceChildren(...next.childNodes);
  prepare();
  for (const row of main.querySelectorAll("[data-id]")) {
    row.classList.toggle("new", !known.has(row.dataset.id));
  }
  if (focused) {
    const links = [...main.querySelectorAll("a, button, summary")];
    links.find((link) => address(link) === focused)?.focus({ preventScroll: true });
  }
}

// What stays the same of a focused element when the content is replaced.
function address(element) {
  return element.href ?? element.form?.action ?? element.textContent;
}
