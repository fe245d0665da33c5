"""How films are put in words: the verbs, and the grammar of their captions.

As in `words`, captions leave out what people leave out, but never the motion.
"""

from .cutouts import pick
from .moves import gait
from .words import LEFT_OUT, TIME_PHRASES, article, place_phrases

GOING = {
    "walk": "walking", "run": "running", "drive": "driving", "ride": "rolling", "sail": "sailing", "fly": "flying",
    "float": "floating", "roll": "rolling",
}  # fmt: skip
# what the thing does, after its name; {} is how it goes
DOING = {
    "still": ("",),
    "jumping": ("jumping", "jumping", "jumping up", "leaping up", "hopping"),
    "moving left": ("{} to the left", "{} to the left", "{} left", "{} toward the left", "moving to the left"),
    "moving right": ("{} to the right", "{} to the right", "{} right", "{} toward the right", "moving to the right"),
    "spinning": ("spinning", "spinning around", "turning around and around"),
    "coming nearer": ("coming nearer", "coming closer", "{} toward us", "{} toward the camera"),
    "flying off": ("flying off", "flying away", "{} away"),
    "panning left": ("",),
    "panning right": ("",),
    "getting dark": ("",),
}
BALLS = ("bouncing", "bouncing up", "jumping")
PANNING = "while the camera pans to the", "with the camera panning", "as the camera pans"
# what the camera or the light does, at the end
MEANWHILE = {
    "panning left": tuple(f"{words} left" for words in PANNING),
    "panning right": tuple(f"{words} right" for words in PANNING),
    "getting dark": ("as night falls", "as day turns into night", "from day to night", "while it gets dark"),
}
FILM = 0.08  # of the captions say that it is one


def caption(film, rng=None):
    """The film in words. ``rng`` None gives the plain full caption; otherwise wording and omissions vary."""
    choose = (lambda options: pick(rng, options)) if rng else (lambda options: options[0])
    chance = (lambda p: rng.random() < p) if rng else (lambda p: False)
    scene, thing = film.scene, film.scene.things[0]
    colored = thing.color and scene.style == "plain" and not chance(LEFT_OUT["color"])
    name = article(f"{thing.color} {thing.noun}" if colored else thing.noun)
    verbs = BALLS if (thing.noun, film.motion) == ("ball", "jumping") else DOING[film.motion]
    doing = choose(verbs).format(GOING.get(gait(thing, scene.place) or "", "moving"))
    where = "" if chance(LEFT_OUT["place"]) else choose(place_phrases(scene))
    timeless = scene.place == "space" or scene.style != "plain" or film.motion == "getting dark"
    when = "" if timeless or chance(LEFT_OUT["time"]) else choose(TIME_PHRASES[scene.time])
    meanwhile = choose(MEANWHILE.get(film.motion, ("",)))
    style = "" if scene.style == "plain" else f"{article(scene.style)} of "
    of = choose(("a film of", "a video of")) + " " if not style and chance(FILM) else ""
    return " ".join(filter(None, (style + of + name, doing, where, when, meanwhile)))
