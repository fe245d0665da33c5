"""Wrong answers to the exercises of chapter 3: (exercise, words that the check must say, the answer)."""

WRONG = [
    ("pair-loss", "longer picture vectors", """
def pair_loss(image, text, temperature):
    logits = image @ text.T * temperature
    own = torch.arange(len(logits))
    return F.cross_entropy(logits, own)
"""),
    ("pair-loss", "longer text vectors", """
def pair_loss(image, text, temperature):
    logits = F.normalize(image, dim=-1) @ text.T / temperature
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
"""),
    ("pair-loss", "the colder, the surer", """
def pair_loss(image, text, temperature):
    logits = F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T * temperature
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
"""),
    ("pair-loss", "do not count alike", """
def pair_loss(image, text, temperature):
    logits = F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T / temperature
    return F.cross_entropy(logits, torch.arange(len(logits)))
"""),
    ("pair-loss", "costs log B", """
def pair_loss(image, text, temperature):
    logits = F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T / temperature
    own = torch.arange(len(logits))
    return F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)
"""),
    ("pair-loss", "one number", """
def pair_loss(image, text, temperature):
    logits = F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T / temperature
    own = torch.arange(len(logits))
    return F.cross_entropy(logits, own, reduction="none") / 2 + F.cross_entropy(logits.T, own, reduction="none") / 2
"""),
    ("fit", "two lists", """
def fit(ids, start, end, size=77):
    return ([start] + ids + [end])[:size]
"""),
    ("fit", "lost its end token", """
def fit(ids, start, end, size=77):
    framed = [start] + ids + [end]
    return framed[:size], framed[size:]
"""),
    ("fit", "77 places, and 79", """
def fit(ids, start, end, size=77):
    return [start] + ids[:size] + [end], ids[size:]
"""),
    ("fit", "only 76 of 77", """
def fit(ids, start, end, size=77):
    return [start] + ids[: size - 3] + [end], ids[size - 3 :]
"""),
    ("fit", "nothing is reported", """
def fit(ids, start, end, size=77):
    return [start] + ids[: size - 2] + [end], []
"""),
    ("recall-at", "the wrong way around", """
def recall_at(scores, k):
    best = scores.T.topk(k, dim=1).indices
    return (best == torch.arange(len(scores))[:, None]).any(dim=1).float().mean().item()
"""),
    ("recall-at", "likes its own least|at once, yet", """
def recall_at(scores, k):
    best = scores.argsort(dim=1)[:, :k]
    return (best == torch.arange(len(scores))[:, None]).any(dim=1).float().mean().item()
"""),
    ("recall-at", "yet recall at 1 is 5", """
def recall_at(scores, k):
    best = scores.topk(k, dim=1).indices
    return (best == torch.arange(len(scores))[:, None]).any(dim=1).sum().item()
"""),
    ("recall-at", "every one is found|no more than k = 1", """
def recall_at(scores, k):
    return (scores.argmax(dim=1) == torch.arange(len(scores))).float().mean().item()
"""),
    ("recall-at", "every one is found|yet recall at", """
def recall_at(scores, k):
    best = scores.topk(k, dim=1).indices
    return (best == torch.arange(len(scores))[:, None]).float().mean().item()
"""),
]  # fmt: skip
