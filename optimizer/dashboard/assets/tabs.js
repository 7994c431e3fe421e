// Tabs that the keyboard moves through, after the pattern of the ARIA practices.

import { find } from "./elements.js";

export function openTab(name) {
  for (const tab of document.querySelectorAll('[role="tab"]')) {
    const mine = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", mine);
    tab.tabIndex = mine ? 0 : -1;
    find(tab.getAttribute("aria-controls")).hidden = !mine;
  }
  document.dispatchEvent(new CustomEvent("tab", { detail: name }));
}

// Shows or hides a tab; who looks at one that goes is led to the first.
export function offerTab(name, offered) {
  const tab = find(`tab-${name}`);
  if (!offered && tab.getAttribute("aria-selected") === "true") openTab("plan");
  tab.hidden = !offered;
}

export function beginTabs() {
  for (const tab of document.querySelectorAll('[role="tab"]')) {
    tab.addEventListener("click", () => openTab(tab.id.slice("tab-".length)));
    tab.addEventListener("keydown", (event) => {
      const tabs = [...document.querySelectorAll('[role="tab"]:not([hidden])')];
      const place = tabs.indexOf(tab);
      const moves = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 };
      if (!(event.key in moves)) return;
      event.preventDefault();
      const next = tabs[(moves[event.key] + tabs.length) % tabs.length];
      next.focus();
      next.click();
    });
  }
}
