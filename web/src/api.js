// The server's API, below wherever this page lies. A server that is not ready is an error as any
// other, and an event "unready" of the window.

const base = new URL("api/v1/", location.href.split(/[?#]/)[0]);
const ready = new URL("../../-/ready", base);

export class ApiError extends Error {
  constructor(text, status) {
    super(text);
    this.status = status; // of HTTP; 0: there was no answer
  }
}

async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    dispatchEvent(new Event("unready"));
    throw new ApiError("the server does not answer", 0);
  }
}

async function read(response) {
  if (response.status === 204) return { data: null };
  const text = await response.text();
  if (response.ok && !response.headers.get("content-type")?.includes("json")) return { data: text };
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new ApiError(`${response.status} ${response.statusText}: ${text.slice(0, 200)}`,
      response.status);
  }
  if (answer.status === "success") return answer;
  if (answer.phase !== undefined) dispatchEvent(new Event("unready"));
  throw new ApiError(answer.error ?? `status ${response.status}`, response.status);
}

function form(parameters) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== "") search.append(name, one);
    }
  }
  return search;
}

// The whole answer: { data, warnings, infos }.
export async function ask(path, parameters = {}, signal = undefined) {
  const url = new URL(path, base);
  url.search = form(parameters);
  return read(await send(url, { signal }));
}

// Queries may be longer than an address. Also for what changes the server; then the browser says
// whose page asks (Origin).
export async function post(path, parameters, signal = undefined) {
  return read(await send(new URL(path, base), { method: "POST", body: form(parameters), signal }));
}

// An answer whose body comes piece by piece, to a text.
export async function stream(path, parameters, body, signal = undefined, options = {}) {
  const url = new URL(path, base);
  url.search = form(parameters);
  const response = await send(url, { method: "POST", body, signal,
    headers: { "Content-Type": "text/plain" }, ...options });
  if (!response.ok) await read(response);
  return response;
}

// null when the server is ready, else what it is at: { error, phase, done, total }.
export async function readiness() {
  try {
    const response = await fetch(ready, { cache: "no-store" });
    return response.ok ? null : await response.json();
  } catch {
    return { error: "the server does not answer", phase: "", done: 0, total: 0 };
  }
}

export const apiPrefix = base.pathname.replace(/\/$/, "");
export const pathPrefix = apiPrefix.replace(/\/api\/v1$/, "");
