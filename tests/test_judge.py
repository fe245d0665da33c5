"""The oracle answers well on real scenes, and its score falls when the answers are wrong."""

import numpy as np
import pytest
import torch

from difflab import world
from difflab.judge import WORDS, Judge, agreement, labels, load_judge, look, loss, true_color

UNSEEN = 900_000_003


@pytest.fixture(scope="module")
def samples():
    return world.samples(120, seed=UNSEEN)


@pytest.fixture(scope="module")
def verdicts(samples):
    return look([sample.picture for sample in samples])


def test_it_reads_unseen_scenes(samples, verdicts):
    counts = agreement(verdicts, [sample.scene for sample in samples])
    shares = {question: right / asked for question, (right, asked) in counts.items()}
    assert shares["noun"] > 0.9 and shares["place"] > 0.95 and shares["time"] > 0.95, shares


def test_wrong_answers_score_badly(samples, verdicts):
    """The same verdicts held against other scenes: nearly every noun is then wrong."""
    counts = agreement(verdicts[1:] + verdicts[:1], [sample.scene for sample in samples])
    assert counts["noun"][0] / counts["noun"][1] < 0.3 and counts["place"][0] / counts["place"][1] < 0.4


def test_swapped_neighbors_are_noticed():
    samples = world.samples(30, seed=UNSEEN, relation="left of", style="plain")
    scenes = [sample.scene for sample in samples]
    straight = agreement(look([s.picture for s in samples]), scenes)["both sides"][0]
    mirrored = agreement(look([np.ascontiguousarray(s.picture[:, ::-1]) for s in samples]), scenes)["both sides"][0]
    assert straight > 20 and mirrored < 5


def test_counts_never_exceed_what_was_asked(samples, verdicts):
    counts = agreement(verdicts, [sample.scene for sample in samples])
    assert all(0 <= right <= asked <= len(samples) for right, asked in counts.values())
    assert counts["place"][1] == len(samples)


def test_a_verdict_names_words_of_the_world(verdicts):
    verdict = verdicts[0]
    assert set(verdict.nouns) == set(WORDS) and verdict.place in world.PLACES and verdict.time in world.TIMES
    chances = list(verdict.nouns.values())
    assert chances == sorted(chances, reverse=True) and 0 <= chances[-1] <= chances[0] <= 1


def test_loss_is_lowest_for_the_truth(samples):
    torch.manual_seed(0)
    scenes = [sample.scene for sample in samples[:16]]
    target = labels(scenes)
    judge = load_judge()
    x = torch.from_numpy(np.stack([s.picture for s in samples[:16]])).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        trained, fresh = loss(judge(x), target), loss(Judge()(x), target)
        other = loss(judge(x), labels(scenes[1:] + scenes[:1]))
    assert trained < 0.5 * fresh and trained < 0.5 * other


def test_true_color_is_the_given_or_the_natural_one():
    assert true_color(world.Thing("car", "blue")) == "blue"
    assert true_color(world.Thing("car")) == "red"
    assert true_color(world.Thing("panda")) is None


@pytest.mark.parametrize("bad", [np.zeros((64, 64, 3), np.uint8), np.zeros((128, 128, 3), np.float32)])
def test_other_pictures_are_refused(bad):
    with pytest.raises(ValueError, match="128 x 128"):
        look(bad)
