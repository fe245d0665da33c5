"""The loop that every recipe runs in: exact to the last bit when resumed, and nothing good is ever lost."""

import json
import math
import os
import shutil
import signal
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file

from difflab.train import checkpoint, loop
from difflab.train.average import averaged, update_average
from difflab.train.checkpoint import newest_checkpoint
from difflab.train.log import read_log
from difflab.train.machine import Machine
from difflab.train.options import Options
from difflab.train.runs import Optimization, Product, buffers, open_run, trainable

TOY = Product("toy", "Linear", "a linear regression", "model")


def draw(generator, n):
    """Three numbers a row; what is to be learned is their sum."""
    return {"x": torch.randn(n, 3, generator=generator)}


def toy(
    machine, out, *, stop_at=None, spoil=None, at=None, micro_batch=None, settings=None, start=0.0, hooks=None, **more
):
    """A linear regression in the loop. Returns (module, result).

    In step `stop_at` the process sends itself SIGTERM. From step `at` on, `spoil(loss, module)` takes the loss's place.
    """
    module = torch.nn.Linear(3, 1)
    torch.nn.init.constant_(module.weight, start)
    torch.nn.init.zeros_(module.bias)
    optimization = Optimization(**{"warmup": 1} | {k: more.pop(k) for k in Optimization._fields if k in more})
    chosen = Options(**{"steps": 20, "batch_size": 8, "learning_rate": 0.1, "out": out} | more)

    with open_run(chosen, machine, {"toy": module}, TOY, settings or {}, optimization) as run:

        def loss_fn(batch, generator, progress):
            if run.step + 1 == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            loss = ((module(batch["x"]) - batch["x"].sum(dim=1, keepdim=True)) ** 2).mean()
            return (spoil(loss, module) if at and run.step + 1 >= at else loss), {}

        return module, loop.fit(run, draw, loss_fn, micro_batch=micro_batch, **(hooks or {}))


def nan_loss(loss, module):
    return loss * math.nan


def nan_gradient(loss, module):
    return loss + (module.weight.sum() * 0).sqrt()  # its value is 0, its derivative 0 times infinity


def raise_error(loss, module):
    raise RuntimeError("a bug of the recipe's")


def weights_of(folder):
    return load_file(folder / "weights.safetensors")


# ------------------------------------------------------------------------------------------------------------- learning


def test_the_loop_learns(cpu, tmp_path):
    module, result = toy(cpu, tmp_path / "run", steps=300)
    assert result == (300, result.seconds, True, {})
    assert torch.allclose(module.weight, torch.ones(1, 3), atol=0.02)


def test_learning_rate():
    factor = [
        loop.learning_rate_factor(step, step / 1000, warmup=10, decay_from=0.4) for step in (0, 4, 9, 399, 700, 1000)
    ]
    assert factor == pytest.approx([0.1, 0.5, 1.0, 1.0, 0.505, 0.01])


def test_batches_depend_on_seed_step_and_process_alone():
    first = torch.rand(4, generator=loop.generator(0, 7, 1))
    assert torch.equal(first, torch.rand(4, generator=loop.generator(0, 7, 1)))
    for other in ((1, 7, 1), (0, 8, 1), (0, 7, 0)):
        assert not torch.equal(first, torch.rand(4, generator=loop.generator(*other)))


def test_averaged_weights_come_and_go():
    module = torch.nn.Linear(2, 2)
    parameters = list(module.parameters())
    live = module.weight.detach().clone()
    average = [torch.zeros_like(p) for p in parameters]
    with averaged({"m": module}, parameters, average):
        assert not module.training and module.weight.abs().sum() == 0 and not torch.is_grad_enabled()
    assert module.training and torch.equal(module.weight, live) and torch.is_grad_enabled()
    update_average(average, parameters, step=10**9, decay=0.9)
    assert torch.allclose(average[0], 0.1 * live)


@pytest.mark.parametrize("micro_batch", [1, 3, 8, 100])
def test_a_batch_in_parts_is_the_same_step(cpu, tmp_path, micro_batch):
    whole, _ = toy(cpu, tmp_path / "whole")
    parts, _ = toy(cpu, tmp_path / "parts", micro_batch=micro_batch)
    assert torch.allclose(whole.weight, parts.weight, atol=1e-5)
    losses = [[e["loss"] for e in read_log(tmp_path / run) if "loss" in e] for run in ("whole", "parts")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_steps_can_be_walked_by_hand(cpu, tmp_path):
    """`training` is a generator: whoever wants to do something else between two steps needs no hook."""
    module = torch.nn.Linear(3, 1)
    options = Options(steps=3, batch_size=8, learning_rate=0.1, out=tmp_path)
    with open_run(options, cpu, {"toy": module}, TOY, {}) as run:

        def loss_fn(batch, generator, progress):
            return (module(batch["x"]) ** 2).mean(), {}

        steps = list(loop.training(run, draw, loss_fn, stopping=lambda: False))
    assert [step.number for step in steps] == [1, 2, 3] and run.finished
    assert [step.progress for step in steps] == pytest.approx([0, 1 / 3, 2 / 3])


# ------------------------------------------------------------------------------------------------- stopped and resumed


def test_stopped_and_resumed_is_the_same_run(cpu, tmp_path):
    whole, _ = toy(cpu, tmp_path / "whole", steps=40)
    handler = signal.getsignal(signal.SIGTERM)
    _, first = toy(cpu, tmp_path / "halves", steps=40, stop_at=17)
    assert first.step == 17 and not first.finished
    assert signal.getsignal(signal.SIGTERM) is handler
    resumed, second = toy(cpu, tmp_path / "halves", steps=40, resume=True)
    assert second.step == 40 and second.finished
    assert torch.equal(resumed.weight, whole.weight) and torch.equal(resumed.bias, whole.bias)


def test_half_precision_leaves_steps_out_and_resumes(tmp_path):
    """An infinite gradient is no accident in fp16: the scaler leaves the step out and halves its scale, which goes on
    with the run."""
    half = Machine(torch.device("cpu"), precision="fp16")  # as a GPU without bf16 would
    whole, result = toy(half, tmp_path / "whole", steps=40)
    toy(half, tmp_path / "halves", steps=40, stop_at=7)
    resumed, _ = toy(half, tmp_path / "halves", steps=40, resume=True)
    assert result.finished and torch.equal(resumed.weight, whole.weight) and float(whole.weight.detach().min()) > 0.2
    first, second = (newest_checkpoint(tmp_path / name) for name in ("whole", "halves"))
    scales = [checkpoint.read_state(folder)["scaler"]["scale"] for folder in (first, second)]
    assert scales[0] == scales[1] < 65536  # where it begins


def test_minutes_are_kept_and_counted_over_resumes(cpu, tmp_path):
    _, result = toy(cpu, tmp_path / "run", minutes=0.01)
    assert result.finished and result.seconds >= 0.6
    _, again = toy(cpu, tmp_path / "run", minutes=0.01, resume=True)
    assert again.step == result.step and again.finished


def test_a_due_validation_waits_for_nothing(cpu, tmp_path):
    """Not for a line of the log, not for a checkpoint."""
    found = []
    hooks = {"validate": lambda: found.append(1) or {"x": len(found)}}
    toy(cpu, tmp_path, log_every=1000, validate_minutes=0, hooks=hooks)
    assert len(found) == 21  # after each step, and at the end
    assert [e["validation_x"] for e in read_log(tmp_path)] == [*range(1, 20), 21]


def test_running_statistics_are_in_the_checkpoint(tmp_path):
    module = torch.nn.BatchNorm1d(3)
    module(torch.randn(5, 3) + 4)
    state = buffers({"m": module})
    assert set(state) == {"m.running_mean", "m.running_var", "m.num_batches_tracked"}
    weights = {**trainable({"m": module}), **state}
    checkpoint.save_checkpoint(tmp_path, {"step": 3}, {"weights": weights, "average": {}, "optimizer": {}})
    other = torch.nn.BatchNorm1d(3)
    folder = newest_checkpoint(tmp_path)
    said, tensors = checkpoint.load_checkpoint(folder)
    checkpoint.fill({**trainable({"m": other}), **buffers({"m": other})}, tensors["weights"], folder)
    assert said == {"step": 3}
    assert torch.equal(other.running_mean, module.running_mean) and int(other.num_batches_tracked) == 1


def test_the_log_survives_a_kill(tmp_path):
    lines = [
        '{"step": 1, "loss": 3}',
        '{"step": 2, "loss": 2}',
        '{"step": 2, "loss": 2.5}',
        '{"step": 2, "validation_x": 1}',
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + '\n{"step": 3, "lo')
    assert read_log(tmp_path) == [{"step": 1, "loss": 3}, {"step": 2, "loss": 2.5, "validation_x": 1}]


def test_what_a_run_without_a_checkpoint_said_is_not_told_again(cpu, tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 900, "loss": 3}\n')
    toy(cpu, tmp_path)
    assert max(entry["step"] for entry in read_log(tmp_path)) == 20 - 19  # the line of the first step alone


# --------------------------------------------------------------------------------------- what the result depends on


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 5}, "seed=0, not 5"),
        ({"batch_size": 16}, "batch_size=8, not 16"),
        ({"learning_rate": 0.2}, "learning_rate=0.1, not 0.2"),
        ({"decay_from": 0.9}, "decay_from=0.4, not 0.9"),
        ({"betas": (0.5, 0.9)}, r"betas=\[0.9, 0.99\], not \[0.5, 0.9\]"),
        ({"weight_decay": 1.0}, "weight_decay=0.01, not 1.0"),
        ({"warmup": 7}, "warmup=1, not 7"),
        ({"average_decay": 0.5}, "average_decay=0.999, not 0.5"),
        ({"settings": {"latents": "b"}}, "latents='a', not 'b'"),
        ({"settings": {"latents": "a", "pictures": 3}}, "pictures=None, not 3"),
        ({"start": 1.0}, "initial_weights="),
    ],
)
def test_what_the_result_depends_on_is_compared(cpu, tmp_path, options, message):
    toy(cpu, tmp_path, stop_at=10, settings={"latents": "a"})
    before = newest_checkpoint(tmp_path)
    with pytest.raises(ValueError, match=f"was trained with {message}.*; resume with the same"):
        toy(cpu, tmp_path, resume=True, **{"settings": {"latents": "a"}} | options)
    assert newest_checkpoint(tmp_path) == before
    assert toy(cpu, tmp_path, resume=True, settings={"latents": "a"})[1].finished


def test_how_one_works_is_free(cpu, tmp_path):
    """What does not change the result may be another after a stop; so may the place of the weights to begin with."""
    toy(cpu, tmp_path, stop_at=10, settings={"init": "here"})
    free = {"log_every": 1, "save_minutes": 0, "micro_batch": 2, "settings": {"init": "there"}}
    assert toy(cpu, tmp_path, resume=True, **free)[1].finished


def test_a_run_may_be_made_longer_which_is_said(cpu, tmp_path, capsys):
    toy(cpu, tmp_path)
    assert toy(cpu, tmp_path, resume=True, steps=30)[1].step == 30
    assert "length: 20 steps until step 20, 30 steps from here on" in capsys.readouterr().err
    faster = Machine(cpu.device, precision="bf16")
    assert toy(faster, tmp_path, resume=True, steps=40)[1].step == 40
    assert "precision: no until step 30, bf16 from here on" in capsys.readouterr().err


def test_a_run_is_not_overwritten_by_accident(cpu, tmp_path):
    toy(cpu, tmp_path)
    with pytest.raises(ValueError, match="already holds checkpoint-000000020; add --resume"):
        toy(cpu, tmp_path)


def test_a_checkpoint_of_another_model(tmp_path):
    small, large = (trainable({"m": torch.nn.Linear(n, n)}) for n in (2, 3))
    with pytest.raises(ValueError, match="holds another model than this recipe builds .first difference: m.weight"):
        checkpoint.fill(large, dict(small), tmp_path)


# ---------------------------------------------------------------------------------------------- nothing good is lost


@pytest.mark.parametrize(
    ("spoil", "at", "stop_at", "what"),
    [
        (nan_loss, 15, 17, "loss is nan at step 17"),  # at a stop
        (nan_loss, 20, None, "loss is nan at step 20"),  # at the end
        (nan_gradient, 17, 17, "gradient is nan at step 17"),  # of a loss that is a number
        (nan_gradient, 20, None, "gradient is nan at step 20"),
    ],
)
def test_a_bad_step_replaces_nothing(cpu, tmp_path, spoil, at, stop_at, what):
    toy(cpu, tmp_path, stop_at=10)
    with pytest.raises(FloatingPointError, match=what):
        toy(cpu, tmp_path, resume=True, spoil=spoil, at=at, stop_at=stop_at)
    last = newest_checkpoint(tmp_path)
    assert last.name == "checkpoint-000000010" and all(bool(w.isfinite().all()) for w in weights_of(last).values())
    resumed, result = toy(cpu, tmp_path, resume=True)
    whole, _ = toy(cpu, tmp_path / "whole")
    assert result.finished and torch.equal(resumed.weight, whole.weight)


@pytest.mark.parametrize("spoil", [nan_loss, nan_gradient])
def test_a_bad_step_is_found_before_it_is_saved(cpu, tmp_path, spoil):
    with pytest.raises(FloatingPointError, match="at step 15"):
        toy(cpu, tmp_path, spoil=spoil, at=15, save_minutes=0)
    assert newest_checkpoint(tmp_path).name == "checkpoint-000000014"


def test_weights_that_are_no_numbers_are_not_saved(cpu, tmp_path):
    """Loss and gradient of the last step are fine; the step it leads to is not."""
    exported = []
    with pytest.raises(FloatingPointError, match=r"toy.bias \(weights\) is not finite"):
        toy(cpu, tmp_path, steps=1, learning_rate=1e39, hooks={"export": exported.append})
    assert newest_checkpoint(tmp_path) is None and not exported


def test_a_loss_that_is_no_number_from_the_start(cpu, tmp_path):
    with pytest.raises(FloatingPointError, match="the loss is nan at step 1"):
        toy(cpu, tmp_path, spoil=nan_loss, at=1)
    assert newest_checkpoint(tmp_path) is None


@pytest.mark.parametrize("file", ["state.json", "weights.safetensors", "average.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize("cut", [None, 0, 30])
def test_a_damaged_checkpoint_is_named_and_kept(cpu, tmp_path, file, cut):
    """Whether a file is missing, empty or cut off: no run begins again at 0 in its place."""
    toy(cpu, tmp_path, stop_at=10)
    path = newest_checkpoint(tmp_path) / file
    content = path.read_bytes()
    path.unlink() if cut is None else path.write_bytes(content[:cut])
    with pytest.raises(ValueError, match=f"checkpoint-000000010 is damaged: {file} is missing or cut off"):
        toy(cpu, tmp_path, resume=True)
    path.write_bytes(content)
    assert toy(cpu, tmp_path, resume=True)[1].finished


def test_a_full_disk_leaves_the_checkpoint_before(cpu, tmp_path, monkeypatch):
    toy(cpu, tmp_path, stop_at=10)

    def no_space(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(checkpoint, "save_file", no_space)
        toy(cpu, tmp_path, resume=True)
    assert [path.name for path in tmp_path.glob("*checkpoint*")] == ["checkpoint-000000010"]
    assert toy(cpu, tmp_path, resume=True)[1].finished


def test_what_cannot_be_read_back_replaces_nothing(cpu, tmp_path, monkeypatch):
    toy(cpu, tmp_path, stop_at=10)

    def cut_off(tensors, path):
        save_file(tensors, path)
        path.write_bytes(path.read_bytes()[:-1])

    with monkeypatch.context() as patch, pytest.raises(OSError, match="not written whole, the one before is kept"):
        patch.setattr(checkpoint, "save_file", cut_off)
        toy(cpu, tmp_path, resume=True)
    assert newest_checkpoint(tmp_path).name == "checkpoint-000000010"


@pytest.mark.parametrize(
    ("options", "step"),
    [
        ({"spoil": raise_error, "at": 15}, 14),
        ({"hooks": {"validate": partial(raise_error, None, None)}}, 20),
        ({"hooks": {"pictures": partial(raise_error, None, None)}}, 20),
    ],
)
def test_an_exception_of_the_recipes_loses_nothing(cpu, tmp_path, options, step):
    with pytest.raises(RuntimeError, match="a bug of the recipe's"):
        toy(cpu, tmp_path, **options)
    assert newest_checkpoint(tmp_path).name == f"checkpoint-{step:09d}"
    whole, _ = toy(cpu, tmp_path / "whole")
    assert torch.equal(toy(cpu, tmp_path, resume=True)[0].weight, whole.weight)


def test_a_checkpoint_that_somebody_put_aside_stays(cpu, tmp_path):
    toy(cpu, tmp_path, stop_at=10)
    mine = tmp_path / "checkpoint-before-the-holidays"
    shutil.copytree(newest_checkpoint(tmp_path), mine)
    toy(cpu, tmp_path, resume=True)
    assert mine.is_dir() and newest_checkpoint(tmp_path).name == "checkpoint-000000020"


# --------------------------------------------------------------------------------------------------- before any work


def test_two_runs_do_not_share_a_folder(cpu, tmp_path):
    options = Options(steps=3, batch_size=8, learning_rate=0.1, out=tmp_path)
    with open_run(options, cpu, {"toy": torch.nn.Linear(3, 1)}, TOY, {}):
        with pytest.raises(ValueError, match="another run is training into .*: wait for it, or train into another"):
            toy(cpu, tmp_path)
    assert toy(cpu, tmp_path)[1].finished


def test_a_file_is_no_run_folder(cpu, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="file is a file: name a folder"):
        toy(cpu, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_model_that_no_run_wrote_is_not_replaced(cpu, tmp_path):
    """A pipeline's folder has one of the name that a training uses: --out of the one is not that of the other."""
    (tmp_path / "model").mkdir()
    with pytest.raises(ValueError, match="holds model and no checkpoint: it is no run folder; name another --out"):
        toy(cpu, tmp_path, hooks={"export": print})
    assert (tmp_path / "model").is_dir()


def test_nothing_to_learn(cpu, tmp_path):
    frozen = torch.nn.Linear(3, 1).requires_grad_(False)
    options = Options(steps=3, batch_size=8, learning_rate=0.1, out=tmp_path / "run")
    with pytest.raises(ValueError, match="no parameter of the modules requires a gradient"):
        with open_run(options, cpu, {"toy": frozen}, TOY, {}):
            pass
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_holds_no_pickle(cpu, tmp_path):
    toy(cpu, tmp_path)
    folder = newest_checkpoint(tmp_path)
    names = {path.name for path in folder.iterdir()}
    assert names == {"weights.safetensors", "average.safetensors", "optimizer.safetensors", "state.json"}
    state = json.loads((folder / "state.json").read_text())
    assert state["product"] == TOY._asdict() and state["settings"]["recipe"] == "toy"
