// Why a call had no answer: the server is away, it refused, or the reviewer is signed out.

const TIMEOUT_MS = 5000;

/** What to tell the reviewer: `{ words, signIn }`, the address to sign in at or null. */
export async function whyNoAnswer() {
  const status = await whoIsThere();
  if (status === null) {
    const isOffline = navigator.onLine === false;
    return { words: isOffline ? "this computer is offline." : "the server does not answer. Is it still running?", signIn: null };
  }
  if (status.status === 401) {
    const here = encodeURIComponent(location.pathname + location.search);
    return { words: "you are signed out.", signIn: status.sign_in ? status.sign_in + "?next=" + here : null };
  }
  if (!status.ok) return { words: "the server refused it. " + status.reason, signIn: null };
  return { words: "the server failed on it; its log says why.", signIn: null };
}

/** The server's own account of itself and of who is signed in; null where it does not answer. */
export function whoIsThere() {
  return fetch(new URL("api/status", document.baseURI), { method: "POST", signal: AbortSignal.timeout(TIMEOUT_MS) })
    .then((reply) => reply.json())
    .catch(() => null);
}
