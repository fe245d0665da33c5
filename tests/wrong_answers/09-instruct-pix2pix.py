"""Wrong answers to the exercises of chapter 9: (exercise, words that the check must say, the answer)."""

WRONG = [
    ("combine", "plain answer with both", """
def combine(eps_nothing, eps_picture, eps_both, text_scale, image_scale):
    toward_picture = eps_picture - eps_nothing
    toward_text = eps_both - eps_nothing
    return eps_nothing + image_scale * toward_picture + text_scale * toward_text
"""),
    ("combine", "which scale is whose", """
def combine(eps_nothing, eps_picture, eps_both, text_scale, image_scale):
    toward_picture = eps_picture - eps_nothing
    toward_text = eps_both - eps_picture
    return eps_nothing + text_scale * toward_picture + image_scale * toward_text
"""),
    ("combine", "neither input", """
def combine(eps_nothing, eps_picture, eps_both, text_scale, image_scale):
    toward_picture = eps_picture - eps_nothing
    toward_text = eps_both - eps_picture
    return eps_picture + image_scale * toward_picture + text_scale * toward_text
"""),
    ("combine", "another direction", """
def combine(eps_nothing, eps_picture, eps_both, text_scale, image_scale):
    if text_scale == 1:
        return eps_both
    return eps_nothing + image_scale * (eps_picture - eps_nothing) + text_scale * (eps_both - eps_nothing)
"""),
    ("combine", "does the function return", """
def combine(eps_nothing, eps_picture, eps_both, text_scale, image_scale):
    eps = eps_nothing + image_scale * (eps_picture - eps_nothing) + text_scale * (eps_both - eps_picture)
"""),
    ("inputs", "still sees something", """
def inputs(x, encoded, scaling_factor, text, empty):
    picture = encoded / scaling_factor
    eight = torch.cat([torch.cat([x, x, x]), torch.cat([picture, picture, picture])], dim=1)
    return eight, torch.cat([empty, empty, text])
"""),
    ("inputs", "as the loop's latents do", """
def inputs(x, encoded, scaling_factor, text, empty):
    seen = torch.cat([torch.zeros_like(encoded), encoded, encoded])
    return torch.cat([torch.cat([x, x, x]), seen], dim=1), torch.cat([empty, empty, text])
"""),
    ("inputs", "wrong scale", """
def inputs(x, encoded, scaling_factor, text, empty):
    picture = encoded * scaling_factor
    seen = torch.cat([torch.zeros_like(picture), picture, picture])
    return torch.cat([torch.cat([x, x, x]), seen], dim=1), torch.cat([empty, empty, text])
"""),
    ("inputs", "first four channels", """
def inputs(x, encoded, scaling_factor, text, empty):
    picture = encoded / scaling_factor
    seen = torch.cat([torch.zeros_like(picture), picture, picture])
    return torch.cat([seen, torch.cat([x, x, x])], dim=1), torch.cat([empty, empty, text])
"""),
    ("inputs", "order nothing, picture, both", """
def inputs(x, encoded, scaling_factor, text, empty):
    picture = encoded / scaling_factor
    seen = torch.cat([torch.zeros_like(picture), picture, picture])
    return torch.cat([torch.cat([x, x, x]), seen], dim=1), torch.cat([text, empty, empty])
"""),
    ("inputs", "do not see one", """
def inputs(x, encoded, scaling_factor, text, empty):
    seen = torch.zeros_like(torch.cat([x, x, x]))
    return torch.cat([torch.cat([x, x, x]), seen], dim=1), torch.cat([empty, empty, text])
"""),
    ("inputs", "eight channels: not", """
def inputs(x, encoded, scaling_factor, text, empty):
    picture = encoded / scaling_factor
    seen = torch.cat([torch.zeros_like(picture), picture, picture])
    return torch.cat([x, x, x]) + seen, torch.cat([empty, empty, text])
"""),
    ("kept", "rises from 20", """
def kept(edited, before, changed):
    error = (edited - before) ** 2
    error[:, changed] = 0.0
    return 10 * np.log10(4 / error.mean())
"""),
    ("kept", "inside the change", """
def kept(edited, before, changed):
    return 10 * np.log10(4 / ((edited - before) ** 2).mean())
"""),
    ("kept", "brighter by the same", """
def kept(edited, before, changed):
    error = edited**2 - before**2
    return 10 * np.log10(4 / error[:, ~changed].mean())
"""),
    ("kept", "this says 14.0", """
def kept(edited, before, changed):
    error = (edited - before) ** 2
    return 10 * np.log10(1 / error[:, ~changed].mean())
"""),
    ("kept", "this says 10.0", """
def kept(edited, before, changed):
    error = (edited - before) ** 2
    return 10 * np.log10(2 / error[:, ~changed].mean() ** 0.5)
"""),
    ("kept", "falls from 20", """
def kept(edited, before, changed):
    error = ((edited - before) ** 2)[:, ~changed]
    return 10 * np.log10(4 / error.mean()) * (~changed).mean()
"""),
    ("kept", "does the function return", """
def kept(edited, before, changed):
    error = (edited - before) ** 2
    10 * np.log10(4 / error[:, ~changed].mean())
"""),
    ("other", "section 4's order again", """
def text_first(answer, text_scale, image_scale):
    eps_nothing, eps_picture, eps_both = answer(False, False), answer(True, False), answer(True, True)
    return eps_nothing + image_scale * (eps_picture - eps_nothing) + text_scale * (eps_both - eps_picture)
"""),
    ("other", "picture 0: it must be the answer with the text alone", """
def text_first(answer, text_scale, image_scale):
    eps_nothing, eps_text, eps_both = answer(False, False), answer(False, True), answer(True, True)
    return eps_nothing + image_scale * (eps_text - eps_nothing) + text_scale * (eps_both - eps_text)
"""),
    ("other", "plain answer with both", """
def text_first(answer, text_scale, image_scale):
    eps_nothing, eps_text, eps_both = answer(False, False), answer(False, True), answer(True, True)
    return eps_nothing + text_scale * (eps_text - eps_nothing) + image_scale * (eps_both - eps_nothing)
"""),
    ("other", "2 different questions", """
def text_first(answer, text_scale, image_scale):
    eps_nothing, eps_both = answer(False, False), answer(True, True)
    return eps_nothing + text_scale * (eps_both - eps_nothing)
"""),
]  # fmt: skip
