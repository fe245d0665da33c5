# Answers and hidden checks of chapter 3, laid out as CONTRIBUTING.md says.

# %% pair-loss
def pair_loss(image, text, temperature):
    logits = F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T / temperature
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2

# %% pair-loss-hidden
one_sided = (
    torch.tensor([[1.0, 0.0], [1.0, 0.2]]),
    torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
)
a, b = (F.normalize(x, dim=-1) for x in one_sided)
scores = a @ b.T / 0.3
wanted = 0.5 * (
    (torch.logsumexp(scores, 1) - scores.diag()).mean()
    + (torch.logsumexp(scores, 0) - scores.diag()).mean()
)
expect_close(
    torch.as_tensor(pair_loss(*one_sided, 0.3)),
    wanted,
    "wrong where one picture is ambiguous",
)

# %% fit
def fit(ids, start, end, size=77):
    room = size - 2
    return [start] + ids[:room] + [end], ids[room:]

# %% fit-hidden
for count in (0, 1, 5, 6, 7, 20):
    ids = list(range(10, 10 + count))
    read, cut = fit(list(ids), 1, 2, size=8)
    assert read == [1, *ids[:6], 2] and cut == ids[6:], (
        f"{count} ids in a window of 8: wrong"
    )

# %% recall-at
def recall_at(scores, k):
    best = scores.topk(k, dim=1).indices  # N,k
    own = torch.arange(len(scores), device=scores.device)
    return (best == own[:, None]).any(dim=1).float().mean().item()

# %% recall-at-hidden
generator = torch.Generator().manual_seed(3)
scores = torch.randn(40, 40, generator=generator) + 1.5 * torch.eye(40)
ranks = (scores > scores.diag()[:, None]).sum(dim=1)
for k in (1, 3, 10):
    assert (
        abs(float(recall_at(scores, k)) - (ranks < k).float().mean().item()) < 1e-6
    ), f"recall at {k} is wrong"
