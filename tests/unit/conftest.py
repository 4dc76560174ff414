"""What several unit tests need. None of it needs torch, a network or a daemon."""

import os

# Before torch is loaded, here and in what the tests start: threads cost small networks more than they gain.
os.environ.setdefault("OMP_NUM_THREADS", "1")
