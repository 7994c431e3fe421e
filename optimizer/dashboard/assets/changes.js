// What a person wants otherwise than the fleet says, as `fleetopt solve --set` has it.

const FACTORS = {
  loads: "services[*].load.arrival_rate_rps",
  prices: "accelerators[*].cost_per_hour",
};

export class Changes {
  constructor() {
    this.values = new Map(); // path -> value
    this.factors = { loads: 1, prices: 1 };
    this.extras = []; // texts, such as a repair's
  }

  // Set values first, then the factors on all of them, then what was added.
  list() {
    const set = [...this.values].map(([path, value]) => `${path}=${value}`);
    const scaled = Object.entries(this.factors)
      .filter(([, factor]) => factor !== 1)
      .map(([group, factor]) => `${FACTORS[group]}*=${factor}`);
    return [...set, ...scaled, ...this.extras];
  }

  remove(text) {
    for (const [path, value] of this.values) if (`${path}=${value}` === text) this.values.delete(path);
    for (const [group, factor] of Object.entries(this.factors)) {
      if (`${FACTORS[group]}*=${factor}` === text) this.factors[group] = 1;
    }
    this.extras = this.extras.filter((extra) => extra !== text);
  }

  clear() {
    this.values.clear();
    this.factors = { loads: 1, prices: 1 };
    this.extras = [];
  }
}
