// Requests to the service beside the page, with the key that it may ask for.

const BASE = new URL("../v1/", import.meta.url);
const KEY = "cloze.key";

/** The service said no; `message` is its sentence. */
class Refusal extends Error {
  constructor(message, status, seconds) {
    super(message);
    this.status = status;
    this.seconds = seconds;
    this.passing = status === 429 || status === 503;
  }
}

/** There was no answer from the service. */
class Unreachable extends Error {
  constructor() {
    super("");
    this.passing = true;
  }
}

let keyOfPage = null;

/** Keep a key as long as the tab is open. */
export function keepKey(key) {
  keyOfPage = key;
  try {
    sessionStorage.setItem(KEY, key);
  } catch {
    // Where storage is forbidden the key lasts until the page is loaded again.
  }
}

export function keptKey() {
  try {
    return keyOfPage ?? sessionStorage.getItem(KEY);
  } catch {
    return keyOfPage;
  }
}

/** Send JSON, or get where there is no body; return the answer's JSON or throw a Refusal or Unreachable. */
export async function ask(path, { body, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (body) headers["Content-Type"] = "application/json";
  const key = keptKey();
  if (key) headers.Authorization = `Bearer ${key}`;
  const response = await fetched(new URL(path, BASE), {
    method: body ? "POST" : "GET",
    headers,
    body: body && JSON.stringify(body),
    signal,
    cache: "no-store",
    credentials: "omit",
  });
  const answer = await parsed(response, signal);
  if (response.ok && answer) return answer;
  // A gateway's own page, where the service behind it is down.
  if (!answer?.error) throw new Unreachable();
  const seconds = Number(response.headers.get("Retry-After")) || 0;
  throw new Refusal(answer.error.message, response.status, seconds);
}

async function fetched(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Unreachable();
  }
}

async function parsed(response, signal) {
  try {
    return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    return null;
  }
}
