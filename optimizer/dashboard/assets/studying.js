// Studies that take time, and calculators that take none.

import { curves } from "./curves.js";
import { find, make, percent, show, showFaults, wrongField } from "./elements.js";
import { reached } from "./solving.js";
import { Refused, follow, post, remove } from "./server.js";

// Figures of a form: numbers where it wants numbers, lists where several can be ticked.
export function figures(form) {
  const found = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.name === "baselines") {
      found.baselines ??= [];
      if (field.checked) found.baselines.push(field.value);
    } else if (field.type === "checkbox") found[field.name] = field.checked;
    else if (field.type === "number") found[field.name] = Number(field.value);
    else if (field.name === "context_lengths") found[field.name] = field.value.split(/[ ,]+/).filter(Boolean).map(Number);
    else found[field.name] = field.value;
  }
  return found;
}

export class Studies {
  // asked: by kind of study, what to send, null where there is no fleet; found: by kind, what to do with the answer.
  constructor(asked, found) {
    this.jobs = {};
    this.round = 0;
    for (const button of document.querySelectorAll("[data-study]")) {
      const kind = button.dataset.study;
      const stop = document.querySelector(`[data-cancel="${kind}"]`);
      stop.addEventListener("click", () => this.jobs[kind] && remove(`/api/jobs/${this.jobs[kind]}`));
      const fields = button.closest('[role="tabpanel"]').querySelectorAll("input, select");
      button.addEventListener("click", () => {
        const wrong = wrongField(fields);
        const body = wrong ? null : asked[kind]();
        if (body) this.#run(kind, button, stop, body, found[kind]);
        else find(`progress-${kind}`).textContent = wrong?.text ?? "Open a fleet first.";
      });
    }
  }

  // Whatever is under way is of a fleet that nobody looks at any more.
  forget() {
    this.round += 1;
    for (const job of Object.values(this.jobs)) remove(`/api/jobs/${job}`).catch(() => {});
  }

  async #run(kind, button, stop, body, found) {
    const round = this.round;
    const isOld = () => round !== this.round;
    const status = find(`progress-${kind}`);
    const steps = new Map();
    button.disabled = true;
    stop.disabled = false;
    status.textContent = "beginning";
    try {
      const { job } = await post(`/api/studies/${kind}`, body);
      this.jobs[kind] = job;
      const done = await follow(job, (document) => isOld() || progress(status, steps, document));
      if (isOld()) return;
      status.textContent = `found in ${done.elapsed_s.toFixed(1)} s, ${whose(body)}`;
      show(`view-${kind}`, done.result.html);
      found?.(done.result);
      showFaults("faults", []);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (!isOld()) status.textContent = error.message;
    } finally {
      button.disabled = false;
      stop.disabled = true;
      delete this.jobs[kind];
    }
  }
}

function whose(body) {
  if (body.given) return "of the scenario's own fleet";
  if (body.changes === undefined) return "of the plan as it was then";
  return body.changes.length ? `of the fleet with ${body.changes.join(", ")}` : "of the fleet as loaded";
}

function progress(status, steps, document) {
  const time = `${document.elapsed_s.toFixed(0)} s`;
  if (document.step === undefined) {
    status.textContent = document.incumbent === null ? `working, ${time}` : reached(document).join(", ");
    return;
  }
  if (document.kind !== "lab") {
    const bar = make("progress", { max: 1, value: document.share ?? false, "aria-label": document.step });
    status.replaceChildren(make("div", { class: "steps" }, make("span", {}, document.step), bar, make("span", {}, time)));
    if (document.html && steps.get("html") !== document.html) {
      show(`view-${document.kind}`, document.html); // what is found already can be read, and tried
      steps.set("html", document.html);
    }
    return;
  }
  for (const name of steps.keys()) steps.set(name, 1);
  steps.set(document.step, document.share);
  const rows = [...steps].flatMap(([name, share]) => [
    make("span", {}, name),
    make("progress", { max: 1, value: share, "aria-label": name }),
    make("span", {}, percent(share, 0)),
  ]);
  status.replaceChildren(make("div", { class: "steps" }, ...rows), time);
  const source = make("p", { class: "source" }, "Source: the runs so far, on a virtual clock.");
  find("view-lab").replaceChildren(...curves(document.figures), source);
}

export function beginCalculator(name, path) {
  const form = find(`${name}-form`);
  const compute = async () => {
    try {
      const { html } = await post(path, figures(form));
      show(`${name}-view`, html);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      find(`${name}-view`).replaceChildren(make("p", { class: "bad", role: "alert" }, error.message));
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    compute();
  });
  document.addEventListener("tab", (event) => {
    if (event.detail === name && !find(`${name}-view`).children.length) compute();
  });
}
