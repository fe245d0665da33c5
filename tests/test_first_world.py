"""The first world, which the shipped weights know, stays as it is to the pixel until others are adopted; then this file
goes with `difflab.world.first`."""

import hashlib

import numpy as np

from difflab import world

# of the first 48 scenes of series 7 and the first 12 edits, taken before there was a second world
MEANS = (
    58.69, 87.544, 130.787, 93.843, 178.302, 113.732, 146.517, 154.6, 222.998, 88.375, 91.626, 158.224,
    156.74, 173.824, 146.185, 88.863, 184.822, 155.197, 152.035, 92.101, 93.383, 87.61, 170.971, 81.042,
    213.588, 209.224, 149.939, 72.067, 150.725, 57.274, 69.628, 74.489, 166.805, 144.389, 164.744, 142.096,
    176.777, 183.668, 88.905, 134.187, 103.907, 106.116, 231.826, 69.717, 150.339, 187.751, 67.656, 87.362,
)  # fmt: skip
EDITED = (85.559, 181.351, 162.981, 166.204, 180.592, 174.338, 146.039, 81.057, 153.212, 212.317, 82.987, 146.55)
CAPTIONS, INSTRUCTIONS = "3ee6ad82f1a6872e", "f788cf1799e71336"


def digest(texts):
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def test_scenes_are_what_they_were():
    samples = world.samples(48, seed=7)
    assert digest(sample.caption for sample in samples) == CAPTIONS
    means = [sample.picture.mean() for sample in samples]
    np.testing.assert_allclose(means, MEANS, atol=0.01)  # a pixel rounded the other way on another machine is allowed


def test_edits_are_what_they_were():
    edits = world.edits(48, seed=7)
    assert digest(edit.instruction for edit in edits) == INSTRUCTIONS
    np.testing.assert_allclose([world.render(edit.after).mean() for edit in edits[:12]], EDITED, atol=0.01)


def test_bystanders_and_looks_are_new():
    scenes = [sample.scene for sample in world.samples(200, seed=8)]
    assert all(len(scene.things) == len(scene.named) for scene in scenes)
    assert all(thing.look == 0 and thing.lift == 0 for scene in scenes for thing in scene.things)
