// What a person wants otherwise than the fleet says, as `fleetopt solve --set` has it.

export class Changes {
  constructor() {
    this.controls = [];
    this.wildcards = {}; // by group: the path of all its figures, where there is one
    this.clear();
  }

  of(fleet) {
    this.controls = fleet.controls;
    this.wildcards = fleet.wildcards;
    this.clear();
  }

  clear() {
    this.values = new Map(); // path -> value
    this.factors = { loads: 1, prices: 1 };
    this.extras = []; // texts, such as a repair's
  }

  // Set values first, then the factors on all of them, then what was added; each can be undone.
  entries() {
    const set = [...this.values].map(([path, value]) => ({
      text: `${path}=${value}`,
      undo: () => this.values.delete(path),
    }));
    const scaled = Object.keys(this.factors).flatMap((group) =>
      this.#scaled(group).map((text) => ({ text, undo: () => (this.factors[group] = 1) })),
    );
    const added = this.extras.map((text) => ({
      text,
      undo: () => (this.extras = this.extras.filter((extra) => extra !== text)),
    }));
    return [...set, ...scaled, ...added];
  }

  list() {
    return this.entries().map((entry) => entry.text);
  }

  #scaled(group) {
    const factor = this.factors[group];
    if (factor === 1) return [];
    if (group in this.wildcards) return [`${this.wildcards[group]}*=${factor}`];
    return this.controls
      .filter((control) => control.group === group)
      .map((control) =>
        control.written || this.values.has(control.path)
          ? `${control.path}*=${factor}`
          : `${control.path}=${control.value * factor}`,
      );
  }
}
