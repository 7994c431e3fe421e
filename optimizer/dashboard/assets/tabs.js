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

export function beginTabs() {
  const tabs = [...document.querySelectorAll('[role="tab"]')];
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => openTab(tab.id.slice("tab-".length)));
    tab.addEventListener("keydown", (event) => {
      const moves = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 };
      if (!(event.key in moves)) return;
      event.preventDefault();
      const next = tabs[(moves[event.key] + tabs.length) % tabs.length];
      next.focus();
      next.click();
    });
  });
}
