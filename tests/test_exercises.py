"""The chapters' exercises: the solution passes, the student's empty sheet fails, and known wrong answers are told so.

Only the exercise cells of a notebook are run: the `exercise-setup` cell, the answer, the visible and the hidden check.
"""

import contextlib
import io
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
SOLUTION = re.compile(r"[ ]*### BEGIN SOLUTION\n(.*?)[ ]*### END SOLUTION", re.S)
STUB = "    # YOUR CODE HERE\n    raise NotImplementedError()"


def exercise_cells(notebook):
    """The setup cell's source, and for each exercise its solution, check and hidden cells, by grade id."""
    cells = nbformat.read(NOTEBOOKS / notebook, as_version=4).cells
    setup = [cell.source for cell in cells if "exercise-setup" in cell.metadata.get("tags", [])]
    graded = {cell.metadata.nbgrader.grade_id: cell for cell in cells if "nbgrader" in cell.metadata}
    assert len(setup) == 1 and graded
    return setup[0], graded


def run_exercise(notebook, name, answer=None):
    """Runs one exercise, with `answer` in place of the notebook's own solution. Raises what its checks raise."""
    setup, cells = exercise_cells(notebook)
    namespace = {"__name__": "exercise"}
    exec(setup, namespace)
    exec(cells[name].source if answer is None else answer, namespace)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(cells[f"{name}-check"].source, namespace)
        exec(cells[f"{name}-hidden"].source, namespace)


FORWARD, TEXT = "01-forward-and-reverse.ipynb", "02-text-to-image.ipynb"
EXERCISES = [
    (FORWARD, "add-noise"),
    (FORWARD, "estimate-x0"),
    (FORWARD, "ddpm-last-step"),
    (FORWARD, "ddim-eta"),
    (TEXT, "guidance"),
    (TEXT, "walk"),
    (TEXT, "to-pixels"),
]


@pytest.mark.parametrize("notebook, name", EXERCISES)
def test_the_solution_passes(notebook, name):
    run_exercise(notebook, name)


@pytest.mark.parametrize("notebook, name", EXERCISES)
def test_the_empty_sheet_fails(notebook, name):
    source = exercise_cells(notebook)[1][name].source
    stub, count = SOLUTION.subn(STUB + "\n", source)
    assert count == 1
    with pytest.raises(NotImplementedError):
        run_exercise(notebook, name, stub)


@pytest.mark.parametrize("notebook", [FORWARD, TEXT])
def test_every_exercise_is_listed_and_in_nbgraders_form(notebook):
    _, cells = exercise_cells(notebook)
    solutions = [name for name, cell in cells.items() if cell.metadata.nbgrader.solution]
    assert solutions == [name for book, name in EXERCISES if book == notebook]
    assert len(solutions) >= 2
    for name in solutions:
        answer, check, hidden = cells[name], cells[f"{name}-check"], cells[f"{name}-hidden"]
        assert SOLUTION.search(answer.source) and "hide-input" in answer.metadata.tags
        assert not answer.metadata.nbgrader.grade and not answer.metadata.nbgrader.locked
        for graded in (check, hidden):
            assert graded.metadata.nbgrader.grade and graded.metadata.nbgrader.points > 0
            assert graded.metadata.nbgrader.locked and graded.metadata.nbgrader.schema_version == 3
        assert "### BEGIN HIDDEN TESTS" in hidden.source and "### END HIDDEN TESTS" in hidden.source
        assert "remove-cell" in hidden.metadata.tags and "HIDDEN" not in check.source
    assert len(cells) == 3 * len(solutions)


# (notebook, exercise, a word of what the check must say, the wrong answer)
WRONG = [
    # -- chapter 1
    (FORWARD, "add-noise", "variance is not a deviation", """
def noise_it(x0, noise, t, alphas_cumprod):
    a = alphas_cumprod[t].to(x0).reshape(-1, *[1] * (x0.ndim - 1))
    return a * x0 + (1 - a) * noise
"""),
    (FORWARD, "add-noise", "variance is not a deviation", """
def noise_it(x0, noise, t, alphas_cumprod):
    a = alphas_cumprod[t].to(x0).reshape(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a) * noise
"""),
    (FORWARD, "add-noise", "one step", """
def noise_it(x0, noise, t, alphas_cumprod):
    alphas = alphas_cumprod / torch.cat([torch.ones(1), alphas_cumprod[:-1]])
    a = alphas[t].to(x0).reshape(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * noise
"""),
    (FORWARD, "add-noise", "which weight", """
def noise_it(x0, noise, t, alphas_cumprod):
    a = alphas_cumprod[t].to(x0).reshape(-1, *[1] * (x0.ndim - 1))
    return (1 - a).sqrt() * x0 + a.sqrt() * noise
"""),
    (FORWARD, "add-noise", "own time", """
def noise_it(x0, noise, t, alphas_cumprod):
    a = alphas_cumprod[t].to(x0)
    a = a if x0.ndim == 2 else a.reshape(-1, 1, 1, 1)
    return a.sqrt() * x0 + (1 - a).sqrt() * noise
"""),
    (FORWARD, "add-noise", "returns nothing", """
def noise_it(x0, noise, t, alphas_cumprod):
    a = alphas_cumprod[t]
"""),
    (FORWARD, "estimate-x0", "still there", """
def estimate_x0(x, eps, alpha_bar):
    return (x - (1 - alpha_bar) * eps) / alpha_bar**0.5
"""),
    (FORWARD, "estimate-x0", "no noise at all", """
def estimate_x0(x, eps, alpha_bar):
    return (x - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar
"""),
    (FORWARD, "estimate-x0", "no noise at all", """
def estimate_x0(x, eps, alpha_bar):
    return x - (1 - alpha_bar) ** 0.5 * eps
"""),
    (FORWARD, "estimate-x0", "still there", """
def estimate_x0(x, eps, alpha_bar):
    return (x + (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5
"""),
    (FORWARD, "ddpm-last-step", "still scatter", """
def ddpm(predict_noise, x, alphas, generator):
    alpha_bars = alphas.cumprod(0)
    for t in reversed(range(len(alphas))):
        eps = predict_noise(x, t)
        mean = (x - (1 - alphas[t]) / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
        x = mean + (1 - alphas[t]).sqrt() * torch.randn(x.shape, generator=generator)
    return x
"""),
    (FORWARD, "ddpm-last-step", "dice", """
def ddpm(predict_noise, x, alphas, generator):
    alpha_bars = alphas.cumprod(0)
    for t in reversed(range(len(alphas))):
        eps = predict_noise(x, t)
        x = (x - (1 - alphas[t]) / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
    return x
"""),
    (FORWARD, "ddpm-last-step", "the one before it", """
def ddpm(predict_noise, x, alphas, generator):
    alpha_bars = alphas.cumprod(0)
    for t in reversed(range(len(alphas))):
        eps = predict_noise(x, t)
        x = (x - (1 - alphas[t]) / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
        if t > 1:
            x = x + (1 - alphas[t]).sqrt() * torch.randn(x.shape, generator=generator)
    return x
"""),
    (FORWARD, "ddpm-last-step", "visited once", """
def ddpm(predict_noise, x, alphas, generator):
    alpha_bars = alphas.cumprod(0)
    for t in reversed(range(1, len(alphas))):
        eps = predict_noise(x, t)
        mean = (x - (1 - alphas[t]) / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
        x = mean + (1 - alphas[t]).sqrt() * torch.randn(x.shape, generator=generator)
    return x
"""),
    (FORWARD, "ddpm-last-step", "deviation", """
def ddpm(predict_noise, x, alphas, generator):
    alpha_bars = alphas.cumprod(0)
    for t in reversed(range(len(alphas))):
        eps = predict_noise(x, t)
        x = (x - (1 - alphas[t]) / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
        if t > 0:
            x = x + 1.5 * (1 - alphas[t]).sqrt() * torch.randn(x.shape, generator=generator)
    return x
"""),
    (FORWARD, "ddim-eta", "budget", """
def ddim_eta(x0, eps, z, alpha_bar_t, alpha_bar_s, eta):
    sigma = eta * ((1 - alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t)) ** 0.5
    direction = max(1 - alpha_bar_s - sigma, 0) ** 0.5
    return alpha_bar_s**0.5 * x0 + direction * eps + sigma * z
"""),
    (FORWARD, "ddim-eta", "budget", """
def ddim_eta(x0, eps, z, alpha_bar_t, alpha_bar_s, eta):
    sigma = eta * ((1 - alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t)) ** 0.5
    return alpha_bar_s**0.5 * x0 + (1 - alpha_bar_s) ** 0.5 * eps + sigma * z
"""),
    (FORWARD, "ddim-eta", "eta = 1", """
def ddim_eta(x0, eps, z, alpha_bar_t, alpha_bar_s, eta):
    sigma = eta * (1 - alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    return alpha_bar_s**0.5 * x0 + (1 - alpha_bar_s - sigma**2) ** 0.5 * eps + sigma * z
"""),
    (FORWARD, "ddim-eta", "x0", """
def ddim_eta(x0, eps, z, alpha_bar_t, alpha_bar_s, eta):
    sigma = eta * ((1 - alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t)) ** 0.5
    return alpha_bar_t**0.5 * x0 + (1 - alpha_bar_s - sigma**2) ** 0.5 * eps + sigma * z
"""),
    # -- chapter 2
    (TEXT, "guidance", "away from the text", """
def guided(eps_nothing, eps_text, guidance_scale):
    return eps_nothing + guidance_scale * (eps_nothing - eps_text)
"""),
    (TEXT, "guidance", "at scale 0", """
def guided(eps_nothing, eps_text, guidance_scale):
    return eps_text + guidance_scale * (eps_text - eps_nothing)
"""),
    (TEXT, "guidance", "clamped", """
def guided(eps_nothing, eps_text, guidance_scale):
    return eps_nothing + min(guidance_scale, 1.0) * (eps_text - eps_nothing)
"""),
    (TEXT, "guidance", "at scale 1", """
def guided(eps_nothing, eps_text, guidance_scale):
    return eps_nothing + guidance_scale * eps_text
"""),
    (TEXT, "walk", "stepped 16 times", """
def walk(predict_noise, x, scheduler):
    previews = []
    for t in scheduler.timesteps:
        eps = predict_noise(x, t)
        x = scheduler.step(eps, t, x).prev_sample
        previews.append(scheduler.step(eps, t, x).pred_original_sample)
    return x, previews
"""),
    (TEXT, "walk", "stepped 16 times", """
def walk(predict_noise, x, scheduler):
    previews = []
    for t in scheduler.timesteps:
        eps = predict_noise(x, t)
        previews.append(scheduler.step(eps, t, x).pred_original_sample)
        x = scheduler.step(eps, t, x).prev_sample
    return x, previews
"""),
    (TEXT, "walk", "not the clean picture", """
def walk(predict_noise, x, scheduler):
    previews = []
    for t in scheduler.timesteps:
        x = scheduler.step(predict_noise(x, t), t, x).prev_sample
        previews.append(x)
    return x, previews
"""),
    (TEXT, "walk", "0 previews", """
def walk(predict_noise, x, scheduler):
    for t in scheduler.timesteps:
        x = scheduler.step(predict_noise(x, t), t, x).prev_sample
    return x, []
"""),
    (TEXT, "walk", "two things", """
def walk(predict_noise, x, scheduler):
    for t in scheduler.timesteps:
        x = scheduler.step(predict_noise(x, t), t, x).prev_sample
    return x
"""),
    (TEXT, "to-pixels", "loop's scale", """
def to_pixels(vae, latent):
    return (vae.decode(latent).sample / 2 + 0.5).clamp(0, 1)
"""),
    (TEXT, "to-pixels", "wrong direction", """
def to_pixels(vae, latent):
    return (vae.decode(latent * vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)
"""),
    (TEXT, "to-pixels", "another model", """
def to_pixels(vae, latent):
    return (vae.decode(latent / 0.18215).sample / 2 + 0.5).clamp(0, 1)
"""),
    (TEXT, "to-pixels", "middle", """
def to_pixels(vae, latent):
    return vae.decode(latent / vae.config.scaling_factor).sample.clamp(0, 1)
"""),
    (TEXT, "to-pixels", "between 0 and 1", """
def to_pixels(vae, latent):
    return vae.decode(latent / vae.config.scaling_factor).sample
"""),
]  # fmt: skip


@pytest.mark.parametrize("notebook, name, says, answer", WRONG)
def test_a_wrong_answer_is_rejected_and_told_why(notebook, name, says, answer):
    with pytest.raises(AssertionError, match=says):
        run_exercise(notebook, name, answer)


def test_every_exercise_has_planted_wrong_answers():
    for notebook, name in EXERCISES:
        assert sum((book, exercise) == (notebook, name) for book, exercise, _, _ in WRONG) >= 2


@pytest.mark.parametrize("notebook, name", EXERCISES)
def test_the_visible_check_does_not_tell_the_answer(notebook, name):
    _, cells = exercise_cells(notebook)
    solution = SOLUTION.search(cells[name].source).group(1)
    lines = [line.strip().removeprefix("return ") for line in solution.splitlines() if len(line.strip()) > 25]
    assert not [line for line in lines if line in cells[f"{name}-check"].source]
