"""The figures of a training run as an event file, for `tensorboard --logdir` to draw."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Board"]


class Board:
    """A folder with the event file of one run."""

    def __init__(self, folder: Path, history: Sequence[Mapping[str, float]]) -> None:
        """Begins with the figures of the epochs that are finished; what an earlier run left there is removed."""
        from tensorboardX.event_file_writer import EventsWriter  # half a second to import

        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("events.out.tfevents.*"):
            path.unlink()
        self._writer = EventsWriter(str(folder / "events"))
        for figures in history:
            self.add(figures)

    def add(self, figures: Mapping[str, float]) -> None:
        """Writes the figures of an epoch, by name; "epoch" is the step that they are drawn at."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name in figures.keys() - {"epoch"}:
            summary = scalar(name, figures[name])
            self._writer.write_event(Event(wall_time=time.time(), step=int(figures["epoch"]), summary=summary))
        self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()
