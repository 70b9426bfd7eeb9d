"""For the process that those are forked from in which costs are counted: it has answered before."""

import gc

from tests.faults.calls import warm_up

warm_up()
gc.freeze()  # or a collection in a forked process would copy all of its memory
