// Talking to the server: JSON both ways, and two ways to fail.

const GIVE_UP_MS = 8000;

export class Refused extends Error {} // by the server, with a reason
export class Unreachable extends Error {} // worth another try

export async function ask(path, body) {
  const options = { signal: AbortSignal.timeout(GIVE_UP_MS), credentials: "same-origin" };
  if (body !== undefined) Object.assign(options, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  let answer, told;
  try {
    answer = await fetch(path, options);
    told = await answer.json();
  } catch { throw new Unreachable("The server does not answer"); }
  if (answer.status === 401) throw new Unreachable("The server was started anew: open the address it printed, in a new tab");
  if (answer.status >= 502) throw new Unreachable("The server does not answer");
  if (!answer.ok) throw new Refused(told.error || `refused (${answer.status})`);
  return told;
}

// Random, version 4; crypto.randomUUID is missing on pages that come over plain http from another machine.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
