// Solving as figures move: the latest wish wins, what is no longer wanted is cancelled.

import { find, make, money, percent, show, showFaults, wrongField } from "./elements.js";
import { Refused, follow, get, post, remove } from "./server.js";

const PAUSE_MS = 220;
const HALF_A_CENT = 0.005;

export class Solving {
  constructor(desk) {
    this.desk = desk; // fleet, changes, options(), planned(figures)
    this.latest = 0;
    this.job = null;
    this.timer = null;
    this.unchanged = null; // cost of the fleet as it was loaded
    find("solve").addEventListener("click", () => this.solve());
    find("cancel").addEventListener("click", () => this.job && remove(`/api/jobs/${this.job}`));
  }

  soon() {
    find("plan-view").classList.add("stale");
    clearTimeout(this.timer);
    if (find("live").checked) this.timer = setTimeout(() => this.solve(), PAUSE_MS);
  }

  async solve() {
    clearTimeout(this.timer);
    if (!this.desk.fleet) {
      find("progress").textContent = "Open a fleet first";
      return;
    }
    const wrong = wrongField([find("time-limit"), find("gap")]);
    if (wrong) {
      showFaults("faults", [wrong]);
      return;
    }
    const mine = (this.latest += 1);
    const superseded = () => mine !== this.latest;
    if (this.job) remove(`/api/jobs/${this.job}`).catch(() => {});
    this.#busy(true);
    try {
      const { job } = await post("/api/solves", this.desk.request());
      if (superseded()) {
        remove(`/api/jobs/${job}`).catch(() => {});
        return;
      }
      this.job = job;
      const done = await follow(job, (document) => superseded() || this.#progress(document));
      if (superseded()) return;
      showFaults("faults", []);
      this.#verdict(done.result, done.elapsed_s);
      this.desk.planned(done.result);
      const { html } = await get(`/api/plans/${done.result.plan}`);
      if (superseded()) return;
      show("plan-view", html);
      find("plan-view").classList.remove("stale");
    } catch (error) {
      if (superseded()) return;
      if (!(error instanceof Refused)) throw error;
      showFaults("faults", error.faults);
      find("progress").textContent = "No plan of these figures";
    } finally {
      if (!superseded()) this.#busy(false);
    }
  }

  #busy(busy) {
    find("cancel").disabled = !busy;
    find("progress").classList.toggle("working", busy);
    find("progress").setAttribute("aria-busy", busy); // screen readers wait for the plan
    document.body.dataset.solving = busy ? "yes" : "no";
    if (!busy) this.job = null;
  }

  #progress(document) {
    const words = reached(document);
    find("progress").replaceChildren(...words.map((word, place) => make("span", { class: place ? "" : "busy" }, word)));
  }

  #verdict(plan, elapsed) {
    const line = [];
    if (plan.found) {
      line.push(
        make("span", { class: "cost", id: "cost", "data-value": plan.cost_per_hour },
          money(plan.cost_per_hour), " ", make("small", {}, `${plan.currency} per hour`)),
      );
      line.push(make("span", { id: "gap-shown" }, proof(plan)));
      if (!plan.changes.length) this.unchanged = plan.cost_per_hour;
      else if (this.unchanged !== null) line.push(make("span", {}, change(this.unchanged, plan.cost_per_hour)));
    } else line.push(make("span", { class: "cost bad" }, plan.termination.replaceAll("_", " ")));
    if (plan.unserved.length) {
      const why = () => this.desk.ask(plan.unserved[0]);
      line.push(make("button", { type: "button", class: "bad plain", onclick: why }, `${plan.unserved.length} not served: why?`));
    }
    line.push(make("span", { class: "unit" }, `${plan.solver}, ${elapsed.toFixed(2)} s`));
    find("progress").replaceChildren(...line);
    document.title = plan.found ? `${money(plan.cost_per_hour)} ${plan.currency}/h: fleetopt` : "no plan: fleetopt";
  }

  forget() {
    this.latest += 1;
    this.unchanged = null;
  }
}

// How far a solver is, in words.
export function reached(document) {
  const about = document.priority === null ? "cost" : `unserved of priority ${document.priority}`;
  const known = (value) => (value === null ? "none yet" : money(value));
  return [
    document.cancelling ? "stopping" : "solving",
    `${about} ${known(document.incumbent)}`,
    `bound ${known(document.bound)}`,
    `gap ${document.relative_gap === null ? "unknown" : percent(document.relative_gap, 3)}`,
    `${document.elapsed_s.toFixed(1)} s`,
  ];
}

function change(before, after) {
  const more = after - before;
  if (Math.abs(more) < HALF_A_CENT) return "no change from the fleet as loaded";
  const sign = more < 0 ? "" : "+";
  const share = before ? `, ${sign}${percent(more / before, 1)}` : "";
  return `${sign}${money(more)}${share} from the fleet as loaded`;
}

function proof(plan) {
  if (plan.relative_gap === null) return "no bound proven";
  if (plan.termination === "optimal" && plan.relative_gap < 5e-7) return "proven optimal";
  return `gap ${percent(plan.relative_gap, 3)}, bound ${money(plan.dual_bound)}`;
}
