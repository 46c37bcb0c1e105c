// Server-sent events over fetch, which unlike EventSource sends a body and a key. Knows the format and no images.

/**
 * The events of an answer, in order.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{type: string, data: string}>}
 */
export async function* readEvents(body) {
  const reader = body.getReader();
  // A character may be cut between two pieces, and the first may begin with a byte order mark.
  const decoder = new TextDecoder();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      yield* parser.take(done ? decoder.decode() : decoder.decode(value, { stream: true }), done);
      if (done) return;
    }
  } finally {
    // Whoever stops listening lets the connection go.
    reader.cancel().catch(() => {});
  }
}

/** Lines to events, as the HTML standard defines them. */
export class EventParser {
  // A list, not one text: megabytes of base64 come in many pieces, and joining them each time would be slow.
  #pieces = [];
  #endsWithReturn = false;
  #type = "";
  #data = [];

  /** @param {string} text @param {boolean} isLast A last event without a blank line is not one. @yields {{type: string, data: string}} */
  *take(text, isLast = false) {
    let rest = text;
    // A line may end with \r\n, and the two may come in different pieces.
    if (this.#endsWithReturn && rest.startsWith("\n")) rest = rest.slice(1);
    if (text !== "") this.#endsWithReturn = text.endsWith("\r");
    const lines = rest.split(/\r\n|\n|\r/);
    const last = lines.pop();
    for (const line of lines) {
      this.#pieces.push(line);
      const event = this.#readLine(this.#pieces.join(""));
      this.#pieces = [];
      if (event) yield event;
    }
    if (last) this.#pieces.push(last);
    if (isLast) this.#pieces = [];
  }

  #readLine(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    // A comment keeps the connection alive, and says nothing.
    if (colon === 0) return null;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#type = value;
    if (name === "data") this.#data.push(value);
    return null;
  }

  #dispatch() {
    const event = this.#data.length ? { type: this.#type || "message", data: this.#data.join("\n") } : null;
    this.#type = "";
    this.#data = [];
    return event;
  }
}
