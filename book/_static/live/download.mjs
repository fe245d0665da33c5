// Getting the model: each file once, packed, kept by the browser for the next visit.

const SHELF = "difflab-live";

/** The browser's store, or null where there is none (a private window, an address without https). */
const shelf = () => globalThis.caches?.open(SHELF).catch(() => null) ?? null;

/** Whether all these addresses have been kept on an earlier visit. */
export async function isKept(urls) {
  const kept = await shelf();
  if (!kept) return false;
  const found = await Promise.all(urls.map((url) => kept.match(url)));
  return found.every(Boolean);
}

/** Let go of what was kept of other versions: everything below the address `base` but these addresses. */
export async function keepOnly(urls, base) {
  const kept = await shelf();
  const stale = ((await kept?.keys()) ?? []).filter(({ url }) => url.startsWith(base) && !urls.includes(url));
  await Promise.all(stale.map((request) => kept.delete(request)));
}

/**
 * The contents of one packed file: a Uint8Array. Taken from the browser's store, or else from the network and stored.
 * url: its address. file: { bytes, unpacked, sha256 } as the manifest has it. onBytes: told of each piece's length.
 */
export async function unpacked(url, file, onBytes = () => {}) {
  const kept = await shelf();
  const stored = await kept?.match(url);
  if (stored) {
    onBytes(file.bytes);
    return unpack(new Uint8Array(await stored.arrayBuffer()));
  }
  const packed = await fetched(url, file, onBytes);
  await kept?.put(url, new Response(packed)).catch(() => null); // a full disk is no reason to stop
  return unpack(packed);
}

async function fetched(url, file, onBytes) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`The server answered ${response.status} for ${url}.`);
  const pieces = [];
  let length = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    length += value.length;
    onBytes(value.length);
  }
  const whole = new Uint8Array(await new Blob(pieces).arrayBuffer());
  if (length !== (isPacked(whole) ? file.bytes : file.unpacked)) {
    throw new Error(`The download of ${url} is not complete.`);
  }
  const checkable = isPacked(whole) && globalThis.crypto?.subtle; // which addresses without https do not have
  if (checkable && (await sha256(whole)) !== file.sha256) throw new Error(`The download of ${url} is damaged.`);
  return whole;
}

/** Some servers unpack a .gz on the way: the first two bytes tell. */
const isPacked = (bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b;

async function unpack(bytes) {
  if (!isPacked(bytes)) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** As hexadecimal digits. */
async function sha256(bytes) {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
