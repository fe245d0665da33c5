"""The model as files for other programs.

`web` writes a folder for a web page: three ONNX graphs with small weights, the tokenizer, and a manifest. A page needs
nothing more than a runtime for ONNX. `read` gives the same files back as a model that onnxruntime computes on one
thread, as a browser will: what a reader is going to see can be measured here first.

`pipeline` writes a whole folder for diffusers, and `clip` one for transformers.
"""

from difflab.export.exported import read as read
from difflab.export.fidelity import seconds_a_step as seconds_a_step, table as table
from difflab.export.folders import clip as clip, pipeline as pipeline
from difflab.export.page import web as web
