// PyTorch's random numbers on the CPU, so that seed 42 here is seed 42 in the notebooks.
// Matsumoto and Nishimura 1998 (the Mersenne twister), and the two ways in which PyTorch makes its numbers normal.

const N = 624;
const M = 397;

/** torch.Generator().manual_seed(seed): an object whose `next()` is a whole number of 32 bits. seed: from 0 up. */
export function generator(seed) {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`The seed is ${seed}: it has to be a whole number from 0 up.`);
  }
  const state = new Uint32Array(N);
  state[0] = seed % 2 ** 32;
  for (let i = 1; i < N; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  let used = N;

  function twist() {
    for (let i = 0; i < N; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7fffffff);
      state[i] = state[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    used = 0;
  }

  function next() {
    if (used === N) twist();
    let y = state[used++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  return { next, kept: null }; // kept: the second number of a pair, see `few`
}

/** torch.randn(count, generator=generator): N(0, 1), a Float32Array. */
export function randn(count, generator) {
  return count < 16 ? few(count, generator) : many(count, generator);
}

/** Box and Muller's method on blocks of 16: numbers j and j + 8 are a pair. A last block that is not full overlaps. */
function many(count, generator) {
  const uniform = () => (generator.next() % 2 ** 24) / 2 ** 24;
  const values = Float32Array.from({ length: count }, uniform);

  function normal(start) {
    for (let j = start; j < start + 8; j++) {
      const radius = Math.sqrt(-2 * Math.log(1 - values[j]));
      const angle = 2 * Math.PI * values[j + 8];
      values[j] = radius * Math.cos(angle);
      values[j + 8] = radius * Math.sin(angle);
    }
  }

  for (let start = 0; start + 16 <= count; start += 16) normal(start);
  if (count % 16) {
    for (let j = count - 16; j < count; j++) values[j] = uniform();
    normal(count - 16);
  }
  return values;
}

/** Fewer than 16 PyTorch draws one by one, in double precision, and keeps the second of each pair for the next call. */
function few(count, generator) {
  const uniform = () => {
    const high = generator.next() % 2 ** 21; // 53 bits of 64
    return (high * 2 ** 32 + generator.next()) / 2 ** 53;
  };
  return Float32Array.from({ length: count }, () => {
    if (generator.kept !== null) {
      const value = generator.kept;
      generator.kept = null;
      return value;
    }
    const angle = 2 * Math.PI * uniform();
    const radius = Math.sqrt(-2 * Math.log1p(-uniform()));
    generator.kept = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  });
}
