// Talking to the server that this page came from.

export class Refused extends Error {
  constructor(faults) {
    super(faults.map((fault) => fault.text).join("\n"));
    this.faults = faults;
  }
}

const INTERNAL = 500;

async function answered(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Refused([{ text: "the dashboard does not answer; is it still running?" }]);
  }
  const text = await response.text();
  if (response.status >= INTERNAL) throw new Refused([{ text: "internal error, a fault of fleetopt: its traceback is where the dashboard runs" }]);
  const document = JSON.parse(text);
  if (!response.ok) throw new Refused(document.faults);
  return document;
}

export const get = (path) => answered(fetch(path));
export const remove = (path) => answered(fetch(path, { method: "DELETE" }));
export const post = (path, body) =>
  answered(
    fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  );

const SOON_MS = 60;
const LATER_MS = 300;
const MANY = 12;

// Follow work until it ends, telling of each look; fails with what it failed of.
export async function follow(job, told) {
  for (let looks = 0; ; looks += 1) {
    const document = await get(`/api/jobs/${job}`);
    if (document.state === "done") return document;
    if (document.state === "failed") throw new Refused([{ text: document.message }]);
    told(document);
    await new Promise((go) => setTimeout(go, looks < MANY ? SOON_MS : LATER_MS));
  }
}
