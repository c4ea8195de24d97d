"""Scores of one method, and their mean and spread over several seeds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import fmean

from realtime_kp.evaluation.epipolar_pairs import VideoScores
from realtime_kp.evaluation.feature_metrics import PairScores
from realtime_kp.evaluation.homography_pairs import Kind
from realtime_kp.evaluation.room_scores import RoomScores
from realtime_kp.evaluation.track_accuracy import TrackAccuracy

ROOMS = "rooms"


@dataclass(frozen=True, slots=True)
class Result:
    """Scores of one method for one seed: by kind of pair, in rooms, by video, of tracks on known motion."""

    pairs: dict[Kind, PairScores]
    rooms: RoomScores | None
    videos: dict[str, VideoScores]
    tracks: TrackAccuracy | None

    def figures(self) -> dict[str, dict[str, float]]:
        """Values of all figures by group (kind of pair, `rooms`, name of the video, `known_motion`)."""
        found = {str(kind): asdict(scores) for kind, scores in self.pairs.items()}
        found |= {} if self.rooms is None else {ROOMS: asdict(self.rooms)}
        found |= {name: asdict(scores) for name, scores in self.videos.items()}
        return found if self.tracks is None else {**found, "known_motion": asdict(self.tracks)}


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and spread of one figure over several seeds."""

    mean: float
    spread: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Mean, and difference between highest and lowest value."""
        return cls(fmean(values), max(values) - min(values))

    def text(self, digits: int, *, percent: bool = False) -> str:
        """The mean, and half of the spread where there are several seeds."""
        style = f".{digits}{'%' if percent else 'f'}"
        return f"{self.mean:{style}}" + (f" ± {self.spread / 2:{style}}" if self.spread else "")


Figures = dict[str, dict[str, Spread]]


def spread_over_seeds(results: list[Result]) -> Figures:
    """Mean and spread of each figure, by group and name."""
    runs = [result.figures() for result in results]
    return {
        kind: {name: Spread.of([run[kind][name] for run in runs]) for name in figures}
        for kind, figures in runs[0].items()
    }
