// Plans that are pinned, and what tells two of them apart.

import { find, make, money, percent, show, showFaults } from "./elements.js";
import { Refused, post } from "./server.js";

export class Comparing {
  constructor() {
    this.pins = [];
    this.count = 0;
    find("compare").addEventListener("click", () => this.#compare());
  }

  pin(plan) {
    if (this.pins.some((pin) => pin.plan === plan.plan)) return;
    const name = `Plan ${(this.count += 1)}`;
    this.pins.push({ ...plan, name });
    this.draw();
  }

  #unpin(pin) {
    this.pins = this.pins.filter((other) => other !== pin);
    this.draw();
  }

  clear() {
    this.pins = [];
    this.count = 0;
    this.draw();
    find("compare-view").replaceChildren();
  }

  draw() {
    const heads = ["", "cost per hour", "proven gap", "not served", "changes", ""];
    const rows = this.pins.map((pin) =>
      make("tr", {},
        make("th", {}, pin.name),
        make("td", { class: "n" }, pin.cost_per_hour === null ? "-" : `${money(pin.cost_per_hour)} ${pin.currency}`),
        make("td", { class: "n" }, pin.relative_gap === null ? "-" : percent(pin.relative_gap, 4)),
        make("td", { class: "n" }, `${pin.unserved.length}`),
        make("td", {}, pin.changes.join(", ") || "as loaded"),
        make("td", {}, make("button", {
          type: "button", class: "small", "aria-label": `Unpin ${pin.name}`, onclick: () => this.#unpin(pin),
        }, "×")),
      ),
    );
    const head = make("tr", {}, ...heads.map((words, place) => make("th", { class: place > 0 && place < 4 ? "n" : "" }, words)));
    find("pins").replaceChildren(rows.length ? make("table", {}, head, ...rows) : make("p", {}, "Nothing is pinned yet."));
    for (const [id, place] of [["compare-before", 0], ["compare-after", this.pins.length - 1]]) {
      find(id).replaceChildren(...this.pins.map((pin) => make("option", { value: pin.plan }, pin.name)));
      find(id).selectedIndex = place;
    }
    find("compare").disabled = this.pins.length < 2;
  }

  async #compare() {
    const name = (plan) => this.pins.find((pin) => pin.plan === plan).name;
    const [before, after] = [find("compare-before").value, find("compare-after").value];
    try {
      const { html } = await post("/api/comparisons", {
        before, after, before_name: name(before), after_name: name(after),
      });
      show("compare-view", html);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      showFaults("faults", error.faults);
    }
  }
}
