"""difflab: applied diffusion on a laptop. One loop, four openings: start, see, combine, after.

>>> import difflab
>>> model = difflab.load()                                      # the tiny model that ships with the package
>>> difflab.text_to_image(model, "a cat on a sofa at night")    # a list of PIL pictures

Importing the package costs nothing: each name, and each room (``difflab.world``, ``difflab.show``, ...), is imported
when it is first used. Which there are is written in ``__init__.pyi``, where editors look as well.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
