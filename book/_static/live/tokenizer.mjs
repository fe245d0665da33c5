// CLIP's tokenizer: byte-pair encoding (Sennrich et al. 2016, 1508.07909), as transformers' CLIPTokenizer has it.

const WORDS = /<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/gu;

/** Every byte as a character that can be seen: itself where it can, a character from 256 up where not. */
const VISIBLE = (() => {
  let hidden = 256;
  const seen = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(seen(byte) ? byte : hidden++));
})();

/** As the tokenizer sees a text: composed, single spaces, lower case one character at a time (so sigma is always σ). */
const normalized = (text) =>
  [...text.normalize("NFC").replace(/\p{White_Space}/gu, " ")].map((letter) => letter.toLowerCase()).join("");

/** The words of a text, and its signs, as they are cut before anything is looked up. */
export const wordsOf = (text) => normalized(text).match(WORDS) ?? [];

/**
 * vocab: { token: id }. merges: pairs of tokens, the most frequent first. startId, endId, padId: special tokens.
 * window: how many tokens a prompt has, start and end included.
 */
export function tokenizer({ vocab, merges }, { startId, endId, padId, window }) {
  const ranks = new Map(merges.map((pair, rank) => [pair.join(" "), rank]));
  const special = new Map([["<|startoftext|>", startId], ["<|endoftext|>", endId]]);

  /** Merge the most frequent pair, again and again, until no pair is known. */
  function merged(word) {
    const bytes = [...new TextEncoder().encode(word)].map((byte) => VISIBLE[byte]);
    let parts = [...bytes.slice(0, -1), `${bytes.at(-1)}</w>`];
    for (;;) {
      const best = Math.min(...parts.slice(1).map((part, i) => ranks.get(`${parts[i]} ${part}`) ?? Infinity));
      if (best === Infinity) return parts;
      const [left, right] = merges[best];
      const next = [];
      for (let i = 0; i < parts.length; i++) {
        next.push(parts[i] === left && parts[i + 1] === right ? parts[i++] + right : parts[i]);
      }
      parts = next;
    }
  }

  /** The ids of a text or a word, without start and end. */
  const ids = (text) =>
    wordsOf(text).flatMap((word) => special.get(word) ?? merged(word).map((part) => vocab[part] ?? endId));

  /** A prompt as the text encoder wants it, and how many of its tokens did not fit. */
  function prompt(text) {
    const all = ids(text);
    const kept = [startId, ...all.slice(0, window - 2), endId];
    return {
      ids: Int32Array.from({ length: window }, (_, i) => kept[i] ?? padId),
      cut: Math.max(0, all.length - (window - 2)),
    };
  }

  /** Where the tokens of a word stand in a prompt, every time it occurs; 0 is the start token. */
  function positions(text, word) {
    const [tokens, wanted] = [ids(text).slice(0, window - 2), ids(word)];
    const starts = [...tokens.keys()].filter((i) => wanted.every((id, offset) => tokens[i + offset] === id));
    return starts.flatMap((i) => wanted.map((_, offset) => 1 + i + offset));
  }

  return { prompt, positions };
}
