"""Equal to diffusers, row by row of the table that the book prints; and a table that would notice if we were not."""

import pkgutil

import pytest
import torch

from difflab import noise, parity, sample
from difflab.applications import __path__ as applications
from difflab.parity.samplers import make_scheduler, toy_noise, walk_of
from difflab.samplers import dpmpp
from difflab.schedule import NoiseSchedule

EACH = [
    pytest.param(comparison, name, id=f"{comparison.name}-{name}")
    for comparison in parity.TABLE
    for name in comparison.on
]
STRICT = {"samplers", "attention"}  # no network's rounding, or one question's


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A function from a name of `parity.WEIGHTS` to those weights."""
    return parity.weights_in(tmp_path_factory.mktemp("parity"))


@pytest.mark.parametrize("comparison, name", EACH)
def test_difflab_equals_diffusers(comparison, name, weights):
    rows = comparison.rows(weights(name))
    assert rows and {row.tolerance for row in rows} == {1e-5 if comparison.application in STRICT else 1e-4}
    assert not [row for row in rows if not row.holds]


def test_every_application_is_in_the_table():
    names = {module.name for module in pkgutil.iter_modules(applications)} - {"request"}
    assert names <= {comparison.application for comparison in parity.TABLE}


def test_what_is_compared_has_a_name_of_its_own():
    ids = [parameters.id for parameters in EACH]
    assert len(set(ids)) == len(ids)
    assert {name for comparison in parity.TABLE for name in comparison.on} == set(parity.WEIGHTS)


def test_another_walk_is_noticed():
    x = noise((1, 3, 8, 8), 0)
    theirs = walk_of(make_scheduler("DDIMScheduler", timestep_spacing="trailing"), toy_noise, x, 10, None)
    ours = [step.x for step in sample(toy_noise, x, dpmpp(NoiseSchedule.scaled_linear(), 10))]
    assert parity.largest_difference(ours, theirs) > 1e-2
    with pytest.raises(ValueError):
        parity.largest_difference(ours[:-1], theirs)
    with pytest.raises(ValueError, match="shape"):
        parity.largest_difference(ours, [each[..., :1] for each in theirs])


def test_other_weights_are_noticed(weights, tmp_path):
    other = weights("random")._replace(folder=parity.random_pipeline(tmp_path, seed=1))
    for row in parity.text_to_image.compare(other, samplers=("ddim",), guidance_scales=(5.0,)):
        assert row.max_abs_difference > 0.1 and not row.holds


@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_number_that_is_none_is_noticed_wherever_it_is(where):
    walk = [torch.zeros(1, 4, 2, 2) for _ in range(3)]
    broken = [each.clone() for each in walk]
    broken[where][0, 3, 1, 1] = float("nan")
    assert parity.largest_difference(walk, walk) == 0
    assert not parity.Row("a walk", "another", parity.largest_difference(walk, broken), 1e-5).holds


def test_the_table_is_all_rows(monkeypatch):
    rows = [parity.Row(f"row {i}", "peer", 0.0, 1e-5) for i in range(2)]
    toys = (parity.Comparison(lambda given: rows[:1], ("toy",)), parity.Comparison(lambda given: rows[1:], ("toy",)))
    monkeypatch.setattr(parity, "TABLE", toys)
    assert parity.table() == rows
