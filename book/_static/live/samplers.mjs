// Samplers, as in difflab/samplers.py: given x at timestep t and the noise predicted in it, where is x next?
// Each is a function of the noise schedule and returns { walk, begin }: [t, tNext] for each step, and a function that
// begins a walk of its own and returns advance(x, t, eps) -> [x at tNext, x_0]. `start` leaves out the first timesteps: the tail of the walk,
// which SDEdit needs. A latent is a Float32Array.

import { randn } from "./rng.mjs";
import { mix } from "./schedule.mjs";

/** The walk through falling timesteps, from number `start` on: each leads to the one after it, the last to -1. */
function walkDown(timesteps, start) {
  return timesteps.slice(start).map((t, i) => [t, timesteps[start + i + 1] ?? -1]);
}

/** How many of the first steps a strength leaves out: the `start` of SDEdit's walk. */
export function firstStep(steps, strength) {
  if (!(strength >= 0 && strength <= 1)) throw new RangeError(`The strength is ${strength}: it has to be from 0 to 1.`);
  return steps - Math.trunc(steps * strength);
}

/** Ancestral sampling. Ho et al. 2020 (2006.11239), algorithm 2, with the smaller variance beta tilde. */
function ddpm(schedule, steps, { generator, start = 0 }) {
  const walk = walkDown(schedule.timesteps(steps), start);
  const following = new Map(walk);

  function step(x, t, eps) {
    const s = following.get(t);
    const x0 = schedule.predictX0(x, t, eps); // eq. 15
    if (s < 0) return [x0, x0];
    const [abarT, abarS] = [schedule.alphaBar(t), schedule.alphaBar(s)];
    const alpha = abarT / abarS;
    const beta = 1 - alpha;
    const [share0, share] = [Math.sqrt(abarS) * beta, Math.sqrt(alpha) * (1 - abarS)];
    const mean = mix(share0 / (1 - abarT), x0, share / (1 - abarT), x); // eq. 7
    const variance = ((1 - abarS) / (1 - abarT)) * beta; // eq. 7, beta tilde
    return [mix(1, mean, Math.sqrt(variance), randn(x.length, generator)), x0];
  }

  return { walk, begin: () => step };
}

/** Song et al. 2021 (2010.02502), eq. 12 with eta 0: deterministic. */
function ddim(schedule, steps, { start = 0 }) {
  const walk = walkDown(schedule.timesteps(steps), start);
  const following = new Map(walk);

  function step(x, t, eps) {
    const abar = schedule.alphaBar(following.get(t));
    const x0 = schedule.predictX0(x, t, eps);
    return [mix(Math.sqrt(abar), x0, Math.sqrt(1 - abar), eps), x0];
  }

  return { walk, begin: () => step };
}

/** DPM-Solver++(2M), Lu et al. 2022 (2211.01095), algorithm 2: second order from remembering one x_0. */
function dpmpp(schedule, steps, { start = 0 }) {
  const walk = walkDown(schedule.timesteps(steps, true), start);
  const following = new Map(walk);

  function coefficients(t) {
    const abar = schedule.alphaBar(t);
    const [alpha, sigma] = [Math.sqrt(abar), Math.sqrt(1 - abar)];
    return [alpha, sigma, Math.log(alpha) - Math.log(sigma)]; // lambda: half the log of the signal to noise ratio
  }

  function begin() {
    let before = null; // lambda and x_0 of the step before

    return function step(x, s, eps) {
      const t = following.get(s);
      const x0 = schedule.predictX0(x, s, eps);
      if (t < 0) return [x0, x0];
      const [alphaT, sigmaT, lambdaT] = coefficients(t);
      const [, sigmaS, lambdaS] = coefficients(s);
      const h = lambdaT - lambdaS;
      let D = x0;
      if (before) {
        const r = (lambdaS - before.lambda) / h;
        D = mix(1 + 1 / (2 * r), x0, -1 / (2 * r), before.x0);
      }
      before = { lambda: lambdaS, x0 };
      return [mix(sigmaT / sigmaS, x, -alphaT * Math.expm1(-h), D), x0];
    };
  }

  return { walk, begin };
}

/** Euler's method on the probability-flow ODE. In the x of this book it is DDIM, with a clean end of alpha bar 1. */
function euler(schedule, steps, settings) {
  return ddim({ ...schedule, alphaBar: (t) => (t < 0 ? 1 : schedule.alphaBar(t)) }, steps, settings);
}

export const SAMPLERS = { ddpm, ddim, "dpm++": dpmpp, euler };

/** The sampler of that name. */
export function byName(name) {
  if (!Object.hasOwn(SAMPLERS, name)) {
    throw new RangeError(`The sampler “${name}” is unknown: choose one of ${Object.keys(SAMPLERS).join(", ")}.`);
  }
  return SAMPLERS[name];
}
