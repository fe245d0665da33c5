# Answers and hidden checks of chapter 6, laid out as CONTRIBUTING.md says.

# %% training-loss
def training_loss(predict_noise, z, t, eps, alphas_cumprod):
    abar = alphas_cumprod[t].view(-1, 1, 1, 1)
    x = abar.sqrt() * z + (1 - abar).sqrt() * eps
    return (predict_noise(x, t) - eps).square().mean()

# %% training-loss-hidden
z, eps = torch.randn(2, 5, 3, 4, 4, generator=torch.Generator().manual_seed(1))
times = torch.tensor([1, 10, 100, 500, 998])
mixed = (
    ABAR[times].view(-1, 1, 1, 1).sqrt() * z
    + (1 - ABAR[times]).view(-1, 1, 1, 1).sqrt() * eps
)
value = training_loss(
    lambda x, t: x / 2 + t.view(-1, 1, 1, 1) / 1000, z, times, eps, ABAR
)
wanted = (mixed / 2 + times.view(-1, 1, 1, 1) / 1000 - eps).square().mean()
expect_close(value, wanted, "an imperfect network: the loss is wrong", atol=1e-4)

# %% drop-captions
def drop_captions(text, nothing, probability, generator):
    dropped = torch.rand(len(text), 1, 1, generator=generator) < probability
    return torch.where(dropped, nothing, text)

# %% drop-captions-hidden
some = torch.randn(6, 77, 8, generator=torch.Generator().manual_seed(3))
none = torch.zeros(1, 77, 8)
expect_close(
    drop_captions(some, none, 0.0, torch.Generator().manual_seed(0)),
    some,
    "probability 0 drops something",
)
expect_close(
    drop_captions(some, none, 1.0, torch.Generator().manual_seed(0)),
    none.expand(6, -1, -1),
    "probability 1",
)
shares = [
    (drop_captions(table, nothing, p, torch.Generator().manual_seed(5)) == -1)
    .float()
    .mean()
    for p in (0.3, 0.7)
]
assert abs(shares[0] - 0.3) < 0.04 and abs(shares[1] - 0.7) < 0.04, (
    "wrong share at other probabilities"
)

# %% train-loop
def train(network, average, batches, loss_fn, optimizer, decay):
    for batch in batches:
        optimizer.zero_grad()
        loss_fn(network, batch).backward()
        optimizer.step()
        for mean, weight in zip(average, network.parameters(), strict=True):
            mean.copy_(decay * mean + (1 - decay) * weight.detach())

# %% train-loop-hidden
network, average, optimizer = setting(2.0, rate=0.3)
batches, w, mean = [0.5, -1.0, 2.0, 0.0, 1.0], 2.0, 2.0
train(network, average, batches, miss, optimizer, decay=0.8)
for batch in batches:
    w = w + 0.3 * (batch - w)
    mean = 0.8 * mean + 0.2 * w
expect_close(
    network.weight.detach(), torch.tensor([[w]]), "other batches: the weight is wrong"
)
expect_close(average[0], torch.tensor([[mean]]), "other batches: the average is wrong")
assert network.weight.grad is not None, "the step must come from a gradient"
