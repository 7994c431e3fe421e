// The dashboard: a fleet, its figures, the plan they make, and what can be asked of both.

import { Changes } from "./changes.js";
import { Comparing } from "./comparing.js";
import { Controls } from "./controls.js";
import { find, make, show, showFaults } from "./elements.js";
import { Refused, get, post } from "./server.js";
import { Solving } from "./solving.js";
import { Studies, beginCalculator, figures } from "./studying.js";
import { beginTabs, offerTab, openTab } from "./tabs.js";

const FEW = 3; // remarks that are shown without being asked for
const FILES = [
  ["plan.json", "Plan, JSON"],
  ["plan.csv", "Plan, CSV"],
  ["report.html", "Report, HTML"],
  ["fleet.yaml", "Fleet with the changes, YAML"],
];

const overLines = (command) => command.replaceAll(" --", " \\\n  --");

class Desk {
  constructor() {
    this.fleet = null;
    this.plan = null;
    this.changes = new Changes();
    this.controls = new Controls(this.changes, () => this.moved());
    this.solving = new Solving(this);
    this.comparing = new Comparing();
  }

  // What to send about the fleet as it is moved; null without one.
  request(more = {}) {
    if (!this.fleet) return null;
    const number = (id) => (find(id).value === "" ? null : Number(find(id).value));
    return {
      fleet: this.fleet.id,
      changes: this.changes.list(),
      solver: find("solver").value || null,
      time_limit_s: number("time-limit"),
      relative_gap: number("gap"),
      ...more,
    };
  }

  lay(fleet) {
    this.fleet = fleet;
    this.plan = null;
    this.changes.of(fleet);
    this.solving.forget();
    this.studies?.forget();
    this.comparing.clear();
    find("fleet-name").textContent = fleet.name === fleet.file ? fleet.name : `${fleet.name}, ${fleet.file}`;
    find("why-service").replaceChildren(...fleet.services.map((name) => make("option", {}, name)));
    find("gap").placeholder = fleet.relative_gap;
    for (const view of document.querySelectorAll('[id^="view-"], [id^="progress-"], #why-view')) view.replaceChildren();
    for (const [kind, offered] of Object.entries(fleet.over_loads)) {
      offerTab(kind, offered);
      find(`command-${kind}`).hidden = true;
    }
    find("notes").hidden = fleet.notes.length === 0;
    find("notes").open = fleet.notes.length <= FEW;
    find("notes").querySelector("ul").replaceChildren(...fleet.notes.map((note) => make("li", {}, note)));
    this.controls.load(fleet.controls);
    this.chips();
    this.solving.solve();
  }

  moved() {
    this.chips();
    this.solving.soon();
  }

  chips() {
    const entries = this.changes.entries();
    const chip = ({ text, undo }) =>
      make("li", {}, text, make("button", {
        type: "button", "aria-label": `Undo ${text}`,
        onclick: () => {
          undo();
          this.controls.draw();
          this.moved();
        },
      }, "×"));
    find("changes").replaceChildren(...entries.map(chip));
    find("reset").disabled = entries.length === 0;
  }

  planned(figures) {
    this.plan = figures;
    for (const id of ["pin", "why", "copy"]) find(id).disabled = false;
    document.querySelector('[data-study="tornado"]').disabled = !figures.found;
    find("command").textContent = overLines(figures.command);
    const save = find("save-first");
    save.hidden = figures.file_to_save === null;
    save.replaceChildren("Save ", make("a", { href: `/api/plans/${figures.plan}/loaded.yaml`, download: figures.file_to_save }, "the fleet as it was loaded"), ` as ${figures.file_to_save} first.`);
    find("downloads").replaceChildren(...FILES.map(([file, words]) =>
      make("li", {}, make("a", { href: `/api/plans/${figures.plan}/${file}`, download: file }, words, make("small", {}, file)))));
  }

  add(changes) {
    this.changes.extras.push(...changes.filter((text) => !this.changes.extras.includes(text)));
    this.chips();
    openTab("plan");
    this.solving.solve();
  }

  tellCommand(kind, command) {
    find(`command-${kind}`).hidden = false;
    find(`command-${kind}`).querySelector("code").textContent = overLines(command);
  }

  ask(service) {
    openTab("why");
    find("why-service").value = service;
    this.explain();
  }

  async explain() {
    const service = encodeURIComponent(find("why-service").value);
    try {
      const { html } = await get(`/api/plans/${this.plan.plan}/why/${service}`);
      show("why-view", html);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      showFaults("faults", error.faults);
    }
  }
}

function beginLoading(desk) {
  const text = find("paste-text");
  let name = "fleet.yaml";
  const load = async () => {
    try {
      const fleet = await post("/api/fleets", { text: text.value, name });
      find("paste").close();
      showFaults("faults", []);
      desk.lay(fleet);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (!find("paste").open) find("paste").showModal();
      showFaults("paste-faults", error.faults, text);
    }
  };
  find("paste-open").addEventListener("click", () => {
    name = "fleet.yaml";
    showFaults("paste-faults", []);
    find("paste").showModal();
    text.focus();
  });
  find("paste-load").addEventListener("click", load);
  find("file").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    name = file.name;
    text.value = await file.text();
    event.target.value = "";
    await load();
  });
}

function beginColours() {
  const words = { "": "as the system has them", light: "light", dark: "dark" };
  const set = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    localStorage.setItem("colours", theme);
    find("theme").setAttribute("aria-label", `Colours: ${words[theme]}`);
    find("theme").title = `Colours: ${words[theme]}`;
  };
  set(localStorage.getItem("colours") ?? "");
  find("theme").addEventListener("click", () => {
    const order = ["", "light", "dark"];
    set(order[(order.indexOf(document.documentElement.dataset.theme ?? "") + 1) % order.length]);
  });
}

async function begin() {
  const desk = new Desk();
  let points = [];
  beginTabs();
  beginColours();
  beginLoading(desk);
  beginCalculator("kv", "/api/kv");
  beginCalculator("capacity", "/api/capacity");
  desk.studies = new Studies(
    {
      front: () => desk.request({ measure: find("measure").value, points: Number(find("points").value) }),
      repair: () => desk.request(),
      horizon: () => desk.request(),
      uncertain: () => desk.request(),
      tornado: () => ({ plan: desk.plan.plan, share: Number(find("share").value) / 100 }),
      lab: () => {
        const wanted = figures(find("lab-form"));
        return desk.request(wanted) ?? (wanted.given ? { fleet: "", ...wanted } : null);
      },
    },
    {
      front: (result) => (points = result.plans),
      horizon: (result) => desk.tellCommand("horizon", result.command),
      uncertain: (result) => desk.tellCommand("uncertain", result.command),
    },
  );
  find("pin").addEventListener("click", () => {
    desk.comparing.pin(desk.plan);
    find("pin").textContent = `Pinned as ${desk.comparing.pins.find((pin) => pin.plan === desk.plan.plan).name}`;
    setTimeout(() => (find("pin").textContent = "Pin this plan"), 1500);
  });
  find("why").addEventListener("click", () => desk.explain());
  find("reset").addEventListener("click", () => {
    desk.changes.clear();
    desk.controls.draw();
    desk.moved();
  });
  find("copy").hidden = !navigator.clipboard; // browsers keep it from pages that are not secure
  find("copy").addEventListener("click", () => navigator.clipboard.writeText(find("command").textContent));
  for (const id of ["solver", "time-limit", "gap"]) find(id).addEventListener("change", () => desk.solving.soon());
  document.addEventListener("click", (event) => {
    const { changes, pinPoint } = event.target.dataset ?? {};
    if (changes) desk.add(JSON.parse(changes));
    if (pinPoint) {
      desk.comparing.pin(points[Number(pinPoint)]);
      event.target.textContent = "Pinned";
    }
  });
  if (matchMedia("(max-width: 56rem)").matches) {
    // On a narrow window the plan comes before the figures.
    for (const group of document.querySelectorAll(".controls details")) group.open = false;
  }
  desk.comparing.draw();
  const first = find("columns").dataset.fleet;
  if (first) desk.lay(await get(`/api/fleets/${first}`));
}

begin();
