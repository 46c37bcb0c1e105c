// Keeps what this browser has made: requests without their images, with small thumbnails. Bounded, and gone when cleared.

const NAME = "spillway.playground";
const RUNS = "runs";
export const MOST_ENTRIES = 60;

/**
 * @typedef {{id: string, at: number, fields: Record<string, unknown>, inputs: number, thumbnails: Blob[],
 *   count: number, cost: number | null}} Entry
 */

export class HistoryStore {
  #opened = open();

  /** All entries, newest first. @returns {Promise<Entry[]>} */
  async list() {
    const entries = await this.#ask("readonly", (runs) => runs.getAll());
    return (entries ?? []).sort((one, other) => other.at - one.at);
  }

  /** @param {Entry} entry */
  async add(entry) {
    await this.#ask("readwrite", (runs) => runs.put(entry));
    for (const old of (await this.list()).slice(MOST_ENTRIES)) await this.remove(old.id);
  }

  async remove(id) {
    await this.#ask("readwrite", (runs) => runs.delete(id));
  }

  async clear() {
    await this.#ask("readwrite", (runs) => runs.clear());
  }

  async #ask(mode, question) {
    const database = await this.#opened;
    // Where the browser keeps nothing there is no history, and everything else works.
    if (!database) return undefined;
    try {
      return await promised(question(database.transaction(RUNS, mode).objectStore(RUNS)));
    } catch {
      return undefined;
    }
  }
}

async function open() {
  try {
    const request = indexedDB.open(NAME, 1);
    request.addEventListener("upgradeneeded", () => request.result.createObjectStore(RUNS, { keyPath: "id" }));
    return await promised(request);
  } catch {
    return null;
  }
}

function promised(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}
