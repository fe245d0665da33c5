"""Wrong answers to the exercises of chapter 7: (exercise, words that the check must say, the answer)."""

WRONG = [
    ("order", "which half of the answer is whose", """
def guided(predict_noise, x, t, text, nothing, guidance_scale):
    both = torch.cat([text, nothing])
    eps_nothing, eps_text = predict_noise(torch.cat([x, x]), t, both).chunk(2)
    return eps_nothing + guidance_scale * (eps_text - eps_nothing)
"""),
    ("order", "called 2 times", """
def guided(predict_noise, x, t, text, nothing, guidance_scale):
    eps_nothing, eps_text = predict_noise(x, t, nothing), predict_noise(x, t, text)
    return eps_nothing + guidance_scale * (eps_text - eps_nothing)
"""),
    ("order", "2 pictures with 4 texts", """
def guided(predict_noise, x, t, text, nothing, guidance_scale):
    eps_nothing, eps_text = predict_noise(x, t, torch.cat([nothing, text])).chunk(2)
    return eps_nothing + guidance_scale * (eps_text - eps_nothing)
"""),
    ("order", "second one's text", """
def guided(predict_noise, x, t, text, nothing, guidance_scale):
    both = torch.cat([nothing, text.flip(0)])
    eps_nothing, eps_text = predict_noise(torch.cat([x, x]), t, both).chunk(2)
    return eps_nothing + guidance_scale * (eps_text - eps_nothing)
"""),
    ("order", "at scale 0", """
def guided(predict_noise, x, t, text, nothing, guidance_scale):
    both = torch.cat([nothing, text])
    eps_nothing, eps_text = predict_noise(torch.cat([x, x]), t, both).chunk(2)
    return x + guidance_scale * (eps_text - x)
"""),
    ("order", "at scale 1 it must be", """
def guided(predict_noise, x, t, text, nothing, guidance_scale):
    both = torch.cat([nothing, text])
    eps_nothing, eps_text = predict_noise(torch.cat([x, x]), t, both).chunk(2)
    return eps_text + guidance_scale * (eps_text - eps_nothing)
"""),
    ("order", "at scale 0 the text", """
def guided(predict_noise, x, t, text, nothing, guidance_scale):
    both = torch.cat([nothing, text])
    _, eps_text = predict_noise(torch.cat([x, x]), t, both).chunk(2)
    return eps_text
"""),
    ("order", "does the function return", """
def guided(predict_noise, x, t, text, nothing, guidance_scale):
    both = torch.cat([nothing, text])
    eps_nothing, eps_text = predict_noise(torch.cat([x, x]), t, both).chunk(2)
"""),
    ("interval", "the text plays no part any more", """
def scale_at(t, guidance_scale, sigma_low, sigma_high):
    abar = SCHEDULE.alpha_bar(t)
    sigma = (1 - abar) / abar
    return guidance_scale if sigma_low < sigma <= sigma_high else 0.0
"""),
    ("interval", "ends too early", """
def scale_at(t, guidance_scale, sigma_low, sigma_high):
    abar = SCHEDULE.alpha_bar(t)
    sigma = (1 - abar) / abar
    return guidance_scale if sigma_low < sigma <= sigma_high else 1.0
"""),
    ("interval", "hardly any noise", """
def scale_at(t, guidance_scale, sigma_low, sigma_high):
    abar = SCHEDULE.alpha_bar(t)
    sigma = (abar / (1 - abar)).sqrt()
    return guidance_scale if sigma_low < sigma else 1.0
"""),
    ("interval", "not from 1 to 2", """
def scale_at(t, guidance_scale, sigma_low, sigma_high):
    abar = SCHEDULE.alpha_bar(t)
    sigma = (abar / (1 - abar)).sqrt()
    return guidance_scale if sigma_low < sigma <= sigma_high else 1.0
"""),
    ("interval", "never used", """
def scale_at(t, guidance_scale, sigma_low, sigma_high):
    return guidance_scale if sigma_low < (1 - SCHEDULE.alpha_bar(t)).sqrt() <= sigma_high else 1.0
"""),
    ("interval", "does the function return", """
def scale_at(t, guidance_scale, sigma_low, sigma_high):
    abar = SCHEDULE.alpha_bar(t)
    sigma = ((1 - abar) / abar).sqrt()
    if sigma_low < sigma <= sigma_high:
        return guidance_scale
"""),
    ("rescale", "differently in a batch", """
def rescaled_guidance(eps_nothing, eps_text, guidance_scale, phi):
    eps = eps_nothing + guidance_scale * (eps_text - eps_nothing)
    matched = eps * (eps_text.std() / eps.std())
    return phi * matched + (1 - phi) * eps
"""),
    ("rescale", "channels belong together", """
def rescaled_guidance(eps_nothing, eps_text, guidance_scale, phi):
    eps = eps_nothing + guidance_scale * (eps_text - eps_nothing)
    matched = eps * (eps_text.std((2, 3), keepdim=True) / eps.std((2, 3), keepdim=True))
    return phi * matched + (1 - phi) * eps
"""),
    ("rescale", "plain guidance", """
def rescaled_guidance(eps_nothing, eps_text, guidance_scale, phi):
    eps = eps_nothing + guidance_scale * (eps_text - eps_nothing)
    length, wanted = (e.std((1, 2, 3), keepdim=True) for e in (eps, eps_text))
    matched = eps * wanted / length
    return phi * eps + (1 - phi) * matched
"""),
    ("rescale", "standard deviation is", """
def rescaled_guidance(eps_nothing, eps_text, guidance_scale, phi):
    eps = eps_nothing + guidance_scale * (eps_text - eps_nothing)
    matched = eps * (eps_nothing.std((1, 2, 3), keepdim=True) / eps.std((1, 2, 3), keepdim=True))
    return phi * matched + (1 - phi) * eps
"""),
    ("recover", "it should be the one without", """
def recover(first, first_scale, second, second_scale):
    direction = (second - first) / (second_scale - first_scale)
    return first + (1 - first_scale) * direction, first - first_scale * direction
"""),
    ("recover", "without the text is off", """
def recover(first, first_scale, second, second_scale):
    direction = second - first
    return first - first_scale * direction, first - first_scale * direction + direction
"""),
    ("recover", "with the text is off", """
def recover(first, first_scale, second, second_scale):
    direction = (second - first) / (second_scale - first_scale)
    return first - first_scale * direction, second - direction
"""),
    ("recover", "two things", """
def recover(first, first_scale, second, second_scale):
    direction = (second - first) / (second_scale - first_scale)
    return first - first_scale * direction
"""),
]  # fmt: skip
