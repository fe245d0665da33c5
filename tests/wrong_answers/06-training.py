"""Wrong answers to the exercises of chapter 6: (exercise, words that the check must say, the answer)."""

WRONG = [
    ("training-loss", "told that it is almost clean", """
def training_loss(predict_noise, z, t, eps, alphas_cumprod):
    abar = alphas_cumprod[t - 1].view(-1, 1, 1, 1)
    x = abar.sqrt() * z + (1 - abar).sqrt() * eps
    return (predict_noise(x, t) - eps).square().mean()
"""),
    ("training-loss", "told that it is almost clean", """
def training_loss(predict_noise, z, t, eps, alphas_cumprod):
    abar = alphas_cumprod[t - 1].view(-1, 1, 1, 1)
    x = abar.sqrt() * z + (1 - abar).sqrt() * eps
    return (predict_noise(x, t) - z).square().mean()
"""),
    ("training-loss", "named the noise exactly", """
def training_loss(predict_noise, z, t, eps, alphas_cumprod):
    abar = alphas_cumprod[t].view(-1, 1, 1, 1)
    x = abar.sqrt() * z + (1 - abar).sqrt() * eps
    return (predict_noise(x, t) - z).square().mean()
"""),
    ("training-loss", "belongs to another time", """
def training_loss(predict_noise, z, t, eps, alphas_cumprod):
    abar = alphas_cumprod[(t + 1).clamp(max=999)].view(-1, 1, 1, 1)
    x = abar.sqrt() * z + (1 - abar).sqrt() * eps
    return (predict_noise(x, t) - eps).square().mean()
"""),
    ("training-loss", "the noise's is not", """
def training_loss(predict_noise, z, t, eps, alphas_cumprod):
    abar = alphas_cumprod[t].view(-1, 1, 1, 1)
    x = abar.sqrt() * z + (1 - abar) * eps
    return (predict_noise(x, t) - eps).square().mean()
"""),
    ("training-loss", "told other times", """
def training_loss(predict_noise, z, t, eps, alphas_cumprod):
    abar = alphas_cumprod[t].view(-1, 1, 1, 1)
    x = abar.sqrt() * z + (1 - abar).sqrt() * eps
    return (predict_noise(x, t + 1) - eps).square().mean()
"""),
    ("training-loss", "one number", """
def training_loss(predict_noise, z, t, eps, alphas_cumprod):
    abar = alphas_cumprod[t].view(-1, 1, 1, 1)
    x = abar.sqrt() * z + (1 - abar).sqrt() * eps
    return (predict_noise(x, t) - eps).square().mean(dim=(1, 2, 3))
"""),
    ("drop-captions", "overwritten", """
def drop_captions(text, nothing, probability, generator):
    if torch.rand((), generator=generator) < 1:
        text[torch.rand(len(text), generator=generator) < probability] = nothing
    return text
"""),
    ("drop-captions", "none was dropped", """
def drop_captions(text, nothing, probability, generator):
    return text
"""),
    ("drop-captions", "of 2000 captions none|dropped together", """
def drop_captions(text, nothing, probability, generator):
    return nothing.expand_as(text) if torch.rand((), generator=generator) < probability else text
"""),
    ("drop-captions", "in part", """
def drop_captions(text, nothing, probability, generator):
    dropped = torch.rand(len(text), text.shape[1], 1, generator=generator) < probability
    return torch.where(dropped, nothing, text)
"""),
    ("drop-captions", "not 10%", """
def drop_captions(text, nothing, probability, generator):
    dropped = torch.rand(len(text), 1, 1, generator=generator) > probability
    return torch.where(dropped, nothing, text)
"""),
    ("drop-captions", "is it used", """
def drop_captions(text, nothing, probability, generator):
    dropped = torch.rand(len(text), 1, 1) < probability
    return torch.where(dropped, nothing, text)
"""),
    ("train-loop", "90% of the way", """
def train(network, average, batches, loss_fn, optimizer, decay):
    for batch in batches:
        optimizer.zero_grad()
        loss_fn(network, batch).backward()
        optimizer.step()
        for mean, weight in zip(average, network.parameters(), strict=True):
            mean.copy_(decay * weight.detach() + (1 - decay) * mean)
"""),
    ("train-loop", "still remember", """
def train(network, average, batches, loss_fn, optimizer, decay):
    for batch in batches:
        loss_fn(network, batch).backward()
        optimizer.step()
        for mean, weight in zip(average, network.parameters(), strict=True):
            mean.copy_(decay * mean + (1 - decay) * weight.detach())
"""),
    ("train-loop", "has not moved", """
def train(network, average, batches, loss_fn, optimizer, decay):
    for batch in batches:
        loss_fn(network, batch).backward()
        optimizer.zero_grad()
        optimizer.step()
        for mean, weight in zip(average, network.parameters(), strict=True):
            mean.copy_(decay * mean + (1 - decay) * weight.detach())
"""),
    ("train-loop", "average has not moved", """
def train(network, average, batches, loss_fn, optimizer, decay):
    for batch in batches:
        optimizer.zero_grad()
        loss_fn(network, batch).backward()
        optimizer.step()
        for mean, weight in zip(average, network.parameters(), strict=True):
            mean = decay * mean + (1 - decay) * weight.detach()
"""),
    ("train-loop", "average has not moved", """
def train(network, average, batches, loss_fn, optimizer, decay):
    for batch in batches:
        for mean, weight in zip(average, network.parameters(), strict=True):
            mean.copy_(decay * mean + (1 - decay) * weight.detach())
        optimizer.zero_grad()
        loss_fn(network, batch).backward()
        optimizer.step()
"""),
]  # fmt: skip
