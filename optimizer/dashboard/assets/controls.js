// Sliders and fields for the figures of a fleet.

import { find, make, showFaults, wrongField } from "./elements.js";

const GROUPS = ["loads", "objectives", "prices", "quotas"];
const MOST_SHOWN = 150;
const REACH = 3; // a slider goes to so many times the fleet's own value
const NOTCHES = 300;
const SMALLEST = 1e-6; // bound of an objective

export class Controls {
  constructor(changes, moved) {
    this.changes = changes;
    this.moved = moved;
    this.controls = [];
    this.count = 0;
    find("filter").addEventListener("input", () => this.draw());
    for (const group of ["loads", "prices"]) this.#factor(group);
  }

  load(controls) {
    this.controls = controls;
    this.draw();
  }

  draw() {
    const wanted = find("filter").value.trim().toLowerCase();
    for (const group of GROUPS) {
      const mine = this.controls.filter((control) => control.group === group);
      const found = mine.filter((control) => control.label.toLowerCase().includes(wanted));
      const rows = found.slice(0, MOST_SHOWN).map((control) => this.#row(control));
      if (found.length > MOST_SHOWN) {
        const rest = found.length - MOST_SHOWN;
        rows.push(make("p", { class: "source" }, `${rest} more: find them by their names`));
      }
      if (!found.length) rows.push(make("p", { class: "source" }, mine.length ? "none of that name" : "none in this fleet"));
      find(`group-${group}`).replaceChildren(...rows);
      find(`count-${group}`).textContent = mine.length ? `(${mine.length})` : "";
    }
    for (const group of ["loads", "prices"]) {
      const factor = this.changes.factors[group];
      find(`all-${group}`).value = factor;
      find(`all-${group}-number`).value = factor;
      find(`all-${group}`).closest(".control").classList.toggle("moved", factor !== 1);
    }
  }

  #factor(group) {
    for (const id of [`all-${group}`, `all-${group}-number`]) {
      find(id).addEventListener("input", (event) => {
        if (!isRight(event.target)) return;
        const factor = Number(event.target.value);
        this.changes.factors[group] = factor;
        for (const other of [find(`all-${group}`), find(`all-${group}-number`)]) {
          if (other !== event.target) other.value = factor;
        }
        find(id).closest(".control").classList.toggle("moved", factor !== 1);
        this.moved();
      });
    }
  }

  #row(control) {
    const value = this.changes.values.get(control.path) ?? control.value;
    const id = `control-${(this.count += 1)}`;
    const step = control.whole ? 1 : nice((REACH * (control.value || 1)) / NOTCHES);
    const most = control.whole ? Math.max(REACH * control.value, 8) : REACH * (control.value || 1);
    const least = control.group === "objectives" ? step : 0;
    const slider = make("input", { type: "range", id, min: least, max: most, step, "data-path": control.path });
    slider.value = value;
    const field = make("input", {
      type: "number", required: true, min: control.group === "objectives" ? SMALLEST : 0,
      step: control.whole ? 1 : "any", value,
      "aria-label": `${control.label}, ${control.unit}`, "data-path": control.path,
    });
    const title = `${control.path}: ${control.value} ${control.unit}, of the ${control.source}`;
    const row = make(
      "div", { class: "control", title },
      make("label", { for: id }, control.label),
      make("span", { class: "inputs" }, slider, field, make("span", { class: "unit" }, control.unit)),
    );
    row.classList.toggle("moved", this.changes.values.has(control.path));
    const set = (wanted) => {
      if (wanted === control.value) this.changes.values.delete(control.path);
      else this.changes.values.set(control.path, wanted);
      row.classList.toggle("moved", wanted !== control.value);
      this.moved();
    };
    slider.addEventListener("input", () => {
      field.value = slider.value;
      field.removeAttribute("aria-invalid");
      set(Number(slider.value));
    });
    field.addEventListener("input", () => {
      if (!isRight(field)) return;
      slider.value = field.value;
      set(Number(field.value));
    });
    return row;
  }
}

// Whether a field is as it must be; else it is marked, and what is wrong is told.
function isRight(field) {
  const wrong = wrongField([field]);
  if (wrong) {
    field.setAttribute("aria-invalid", "true");
    showFaults("faults", [wrong]);
  } else field.removeAttribute("aria-invalid");
  return !wrong;
}

// The largest of 1, 2, 5 times a power of ten that is no larger.
function nice(step) {
  const power = 10 ** Math.floor(Math.log10(step));
  const lead = step / power;
  const round = (lead >= 5 ? 5 : lead >= 2 ? 2 : 1) * power;
  return Number(round.toPrecision(1));
}
