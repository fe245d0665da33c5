"""What there is in the tiny world: nouns, colors, places, times, styles, and what is kept out of base training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """One drawing of a noun: the emoji's code point, and where a hat and a rider rest on it, as in `Noun`.

    ``color`` is the color word that fits it as it is drawn; without a ``hue`` to repaint it comes in that color alone.
    ``paint`` repaints it in a color of which nobody speaks: the fur of a dog, the roofs of a castle.
    """

    sprite: str
    head: tuple[float, float] | None = None
    seat: tuple[float, float] | None = None
    hue: float | None = None
    color: str | None = None
    paint: str | None = None


@dataclass(frozen=True)
class Noun:
    """One kind of thing.

    ``sprite`` is the emoji's code point in Fluent Emoji 3D, ``scale`` its size relative to its fellows, ``head`` the
    point (x, y as fractions of the sprite) where a hat rests, ``seat`` the point where a rider sits. ``hue`` (degrees)
    is the part of the sprite that a color word repaints; ``colors`` are the words it may take, its natural one first.
    Below ``least``, a fraction of the picture, it is a smudge. ``others`` are further looks.
    """

    sprite: str
    scale: float = 1.0
    animal: bool = False
    airborne: bool = False
    head: tuple[float, float] | None = None
    seat: tuple[float, float] | None = None
    hue: float | None = None
    colors: tuple[str, ...] = ()
    least: float = 0.3
    others: tuple[Look, ...] = ()

    @property
    def looks(self) -> tuple[Look, ...]:
        natural = self.colors[0] if self.colors else None
        return (Look(self.sprite, self.head, self.seat, self.hue, natural), *self.others)


FACE = (0.5, 0.2)  # where a hat rests on the face of a cat
NOUNS = {
    # faces read well at 128 pixels, so most animals are faces by default; many have a whole body, too
    "cat": Noun("1f431", animal=True, head=FACE, hue=35, colors=("orange", "gray", "black", "white"),
                others=(Look("1f638", FACE, hue=35, color="orange"), Look("1f408", hue=30, color="orange"))),
    "dog": Noun("1f436", animal=True, head=(0.5, 0.06),
                others=(Look("1f415"), Look("1f436", (0.5, 0.06), hue=25, paint="gray"), Look("1f429"),
                        Look("1f415", hue=30, paint="white"))),
    "lion": Noun("1f981", animal=True, head=(0.5, 0.06)),
    "tiger": Noun("1f42f", animal=True, head=(0.5, 0.08),
                  others=(Look("1f405"), Look("1f42f", (0.5, 0.08), hue=22, paint="white"))),
    "fox": Noun("1f98a", animal=True, head=(0.5, 0.3)),
    "panda": Noun("1f43c", animal=True, head=(0.5, 0.08)),
    "koala": Noun("1f428", animal=True, head=(0.5, 0.1)),
    "rabbit": Noun("1f430", animal=True, others=(Look("1f407"),)),
    "cow": Noun("1f42e", animal=True, head=(0.5, 0.1), others=(Look("1f404"),)),
    "pig": Noun("1f437", animal=True, head=(0.5, 0.1), others=(Look("1f416"),)),
    "bear": Noun("1f43b", animal=True, head=(0.5, 0.06), others=(Look("1f43b-200d-2744-fe0f", (0.5, 0.06)),)),
    "monkey": Noun("1f435", animal=True, head=(0.5, 0.04), others=(Look("1f412"),)),
    "frog": Noun("1f438", animal=True, head=(0.5, 0.12)),
    "penguin": Noun("1f427", animal=True, head=(0.5, 0.04)),
    "owl": Noun("1f989", animal=True),
    "elephant": Noun("1f418", animal=True, seat=(0.62, 0.14)),
    "turtle": Noun("1f422", animal=True, head=(0.14, 0.32), seat=(0.55, 0.12)),
    "dinosaur": Noun("1f996", animal=True, head=(0.28, 0.03), hue=155, colors=("green", "blue", "purple", "orange"),
                     least=0.34, others=(Look("1f995", hue=155, color="green"),)),
    "octopus": Noun("1f419", animal=True, head=(0.5, 0.04), hue=20, colors=("orange", "purple", "blue", "green")),
    # things that go
    "car": Noun("1f697", 1.05, seat=(0.5, 0.06), hue=352, colors=("red", "blue", "green", "yellow", "purple"),
                others=(Look("1f699", None, (0.5, 0.07), color="blue"), Look("1f698", None, (0.5, 0.04), 352, "red"))),
    "bus": Noun("1f68c", 1.05, seat=(0.5, 0.06), hue=42, colors=("yellow", "red", "blue", "green"),
                others=(Look("1f68d", None, (0.5, 0.03), 42, "yellow"),)),
    "tractor": Noun("1f69c", 1.05, hue=150, colors=("green", "red", "blue"), least=0.34),
    "bicycle": Noun("1f6b2", 1.1, seat=(0.36, 0.2), hue=350, colors=("red", "blue", "green"), least=0.4),
    "sailboat": Noun("26f5", least=0.34),
    "rocket": Noun("1f680", airborne=True, others=(Look("1f680", hue=350, paint="blue"),)),
    "balloon": Noun("1f388", airborne=True, hue=350, colors=("red", "blue", "green", "yellow", "purple")),
    # things that stand
    "sofa": Noun("1f6cb-fe0f", 1.2, seat=(0.38, 0.72), hue=215, colors=("blue", "red", "green", "purple"), least=0.38),
    "house": Noun("1f3e0", 1.15, others=(Look("1f3e1"),)),
    "castle": Noun("1f3f0", 1.15, least=0.38, others=(Look("1f3f0", hue=345, paint="blue"),)),
    "tree": Noun("1f333", 1.15, others=(Look("1f332"), Look("1f333", hue=125, paint="orange"))),
    "palm tree": Noun("1f334", 1.15, least=0.36),
    "cactus": Noun("1f335", 1.05),
    "sunflower": Noun("1f33b", least=0.34),
    "mushroom": Noun("1f344", seat=(0.5, 0.03), hue=352, colors=("red", "blue", "purple")),
    "apple": Noun("1f34e", 0.9, hue=350, colors=("red", "green", "yellow")),
    "cake": Noun("1f382", others=(Look("1f370"),)),
    "burger": Noun("1f354", 0.95),
    "ball": Noun("26bd", 0.85, others=(Look("1f3c0"), Look("1f3d0"), Look("26bd", hue=215, paint="red"))),
    "gift": Noun("1f381", 0.95, seat=(0.5, 0.16), hue=48, colors=("yellow", "green", "blue", "purple")),
    "teapot": Noun("1fad6", hue=347, colors=("red", "blue", "green", "yellow")),
    "snowman": Noun("26c4", least=0.34, others=(Look("26c4", hue=215, paint="red"),)),
    "robot": Noun("1f916", least=0.32, others=(Look("1f916", hue=350, paint="green"),)),
    "ghost": Noun("1f47b", airborne=True),
    "pumpkin": Noun("1f383", 0.95),
    "superhero": Noun("figure", 1.1, least=0.48),
    # kept out of base training: something new for textual inversion and LoRA to learn
    "mouse": Noun("1f42d", animal=True, head=(0.5, 0.1)),
    "alien": Noun("1f47d", head=(0.5, 0.02)),
    "donut": Noun("1f369", 0.9),
    "unicorn": Noun("1f984", animal=True),
}  # fmt: skip
HATS = {"crown": "1f451", "top hat": "1f3a9"}

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "gray", "black")
PLACES = ("beach", "meadow", "desert", "snow", "city", "room", "forest", "sea", "space", "mountains")
TIMES = ("day", "sunset", "night")
STYLES = ("plain", "pencil sketch", "blueprint")
RELATIONS = ("alone", "left of", "right of", "on", "wearing", "in front of", "behind")
POSES = ("standing", "waving", "flying", "running", "jumping", "dancing", "cheering", "kneeling", "meditating")
ANY_POSE = "any"  # each variant is another; captions have no word for it, and it comes only when called
AIRBORNE = ("flying", "jumping", "diving")  # poses of who is off the ground

HELD_OUT_NOUNS = ("mouse", "alien", "donut", "unicorn")
HELD_OUT_STYLES = ("blueprint",)
HELD_OUT_POSES = ("pointing", "kicking", "diving")
# never seen together in base training, though each part is: the test of composition
HELD_OUT_PAIRS = (
    ("penguin", "desert"),
    ("lion", "snow"),
    ("cactus", "sea"),
    ("elephant", "room"),
    ("robot", "forest"),
    ("purple", "car"),
    ("green", "sofa"),
    ("crown", "frog"),
    ("cat", "bicycle"),
)

BASE_NOUNS = tuple(noun for noun in NOUNS if noun not in HELD_OUT_NOUNS)
ANIMALS = tuple(noun for noun in BASE_NOUNS if NOUNS[noun].animal)
HATTED = tuple(noun for noun in BASE_NOUNS if NOUNS[noun].head)
SEATS = tuple(noun for noun in BASE_NOUNS if NOUNS[noun].seat)
RIDERS = tuple(n for n in ANIMALS if n not in SEATS) + ("robot", "snowman", "ball", "pumpkin", "apple", "cake")
