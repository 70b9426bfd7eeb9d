"""TensorBoard event files of training runs."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["TensorBoardLog"]


class TensorBoardLog:
    """A folder with the event file of one run, for `tensorboard --logdir`."""

    def __init__(self, folder: Path, history: Sequence[Mapping[str, float]]) -> None:
        """Replaces the event file of an earlier run, and starts with the figures of the finished epochs."""
        from tensorboardX.event_file_writer import EventsWriter  # half a second to import

        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("events.out.tfevents.*"):
            path.unlink()
        self._writer = EventsWriter(str(folder / "events"))
        for figures in history:
            self.add(figures)

    def add(self, figures: Mapping[str, float]) -> None:
        """Writes the figures of an epoch by name; the figure "epoch" is the step."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name in figures.keys() - {"epoch"}:
            summary = scalar(name, figures[name])
            self._writer.write_event(Event(wall_time=time.time(), step=int(figures["epoch"]), summary=summary))
        self._writer.flush()

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()
