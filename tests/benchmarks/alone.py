"""One sentence in-process: the model without a broker, a process of its own. Reads a JSON array of sources on standard
input, writes seconds and translations on standard output."""

import json
import sys
import time
from pathlib import Path

import model
from model.translator import Translator

translator = Translator.load(Path(model.__file__).parent / "checkpoint", threads=1)
translator.self_test()
seconds, translations = [], []
for source in json.load(sys.stdin):
    begin = time.perf_counter()
    (translation,) = translator.translate([source])
    seconds.append(time.perf_counter() - begin)
    translations.append(translation.text)
json.dump({"seconds": seconds, "translations": translations}, sys.stdout)
