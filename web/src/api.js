// The server's API, below wherever this page lies.

const base = new URL("api/v1/", location.href.split(/[?#]/)[0]);

export class ApiError extends Error {}

async function read(response) {
  if (response.status === 204) return { data: null };
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new ApiError(`${response.status} ${response.statusText}: ${text.slice(0, 200)}`);
  }
  if (answer.status !== "success") throw new ApiError(answer.error ?? `status ${response.status}`);
  return answer;
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
  return read(await fetch(url, { signal }));
}

// Queries may be longer than an address.
export async function query(path, parameters, signal = undefined) {
  return read(await fetch(new URL(path, base), { method: "POST", body: form(parameters), signal }));
}

// Something that changes the server; the browser says whose page asks (Origin).
export async function act(path, parameters) {
  const url = new URL(path, base);
  url.search = form(parameters);
  return read(await fetch(url, { method: "POST" }));
}

export const apiPrefix = base.pathname.replace(/\/$/, "");
export const pathPrefix = apiPrefix.replace(/\/api\/v1$/, "");
