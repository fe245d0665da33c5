# Answers and hidden checks of chapter 9, laid out as CONTRIBUTING.md says.

# %% combine
def combine(eps_nothing, eps_picture, eps_both, text_scale, image_scale):
    toward_picture = eps_picture - eps_nothing
    toward_text = eps_both - eps_picture
    return eps_nothing + image_scale * toward_picture + text_scale * toward_text

# %% combine-hidden
for s_T, s_I in ((7.5, 1.5), (2.0, 2.0), (-1.0, 0.5), (4.0, 1.0)):
    wanted = (1 - s_I) * nothing + (s_I - s_T) * picture + s_T * both
    expect_close(
        combine(nothing, picture, both, s_T, s_I),
        wanted,
        f"scales {s_T} and {s_I}: wrong",
        atol=1e-4,
    )

# %% inputs
def inputs(x, encoded, scaling_factor, text, empty):
    picture = encoded / scaling_factor
    seen = torch.cat([torch.zeros_like(picture), picture, picture])
    eight = torch.cat([torch.cat([x, x, x]), seen], dim=1)
    return eight, torch.cat([empty, empty, text])

# %% inputs-hidden
for factor in (0.18215, 1.0, 3.0):
    eight, texts = inputs(x[:1], encoded[:1], factor, text[:1], empty[:1])
    wanted = torch.cat(
        [torch.zeros(1, 4, 4, 4), encoded[:1] / factor, encoded[:1] / factor]
    )
    expect_close(eight[:, 4:], wanted, f"scaling factor {factor}: wrong", atol=1e-4)
    expect_close(
        texts,
        torch.stack([empty[0], empty[0], text[0]]),
        "one picture: the texts are wrong",
    )

# %% kept
def kept(edited, before, changed):
    error = (edited - before) ** 2
    return 10 * np.log10(4 / error[:, ~changed].mean())

# %% kept-hidden
rng = np.random.default_rng(0)
for share in (0.1, 0.5, 0.95):
    edited, before = rng.uniform(-1, 1, (2, 3, 16, 16))
    changed = rng.random((16, 16)) < share
    pixels = [
        (edited[c, i, j] - before[c, i, j]) ** 2
        for c in range(3)
        for i, j in zip(*np.nonzero(~changed), strict=True)
    ]
    wanted = -10 * np.log10(np.mean(pixels) / 4)
    assert abs(kept(edited, before, changed) - wanted) < 1e-6, (
        f"{share:.0%} changed: wrong"
    )

# %% other
def text_first(answer, text_scale, image_scale):
    eps_nothing, eps_text = answer(False, False), answer(False, True)
    toward_text, toward_picture = eps_text - eps_nothing, answer(True, True) - eps_text
    return eps_nothing + text_scale * toward_text + image_scale * toward_picture

# %% other-hidden
for s_T, s_I in ((7.5, 1.5), (0.5, 3.0), (2.0, 2.0)):
    e = Answers(3).all
    wanted = (1 - s_T) * e[0, 0] + (s_T - s_I) * e[0, 1] + s_I * e[1, 1]
    expect_close(
        text_first(Answers(3), s_T, s_I),
        wanted,
        f"scales {s_T} and {s_I}: wrong",
        atol=1e-4,
    )
