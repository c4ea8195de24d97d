"""What the server knows: the newest frame, the viewers, and what they have asked for."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from realtime_kp.serve.controls import ControlDesk
from realtime_kp.serve.downloads import Downloads
from realtime_kp.serve.encoder import PictureEncoder
from realtime_kp.serve.metrics import ViewerCounts
from realtime_kp.serve.outbox import Outbox, VideoOutbox
from realtime_kp.serve.picture import Picture, PictureKind
from realtime_kp.serve.requests import SettingChanged, ViewerRequest
from realtime_kp.serve.tracks_message import tracks_columns, tracks_json
from realtime_kp.serve.view import LiveStatus, LiveView, PageSettings
from realtime_kp.sources import BrowserCamera

_MOST_REQUESTS = 256
_SILENT_S = 5.0


@dataclass(frozen=True, slots=True)
class TracksKind:
    """Which messages about tracks.

    Attributes:
        binary: Columns of numbers instead of JSON.
        keypoints: With the keypoints.
    """

    binary: bool = False
    keypoints: bool = False


class Hub:
    """Passes frames on to viewers, and keeps count.

    All methods but `take_requests` belong on the thread of the event loop.

    Args:
        settings: What the page has to know.
        encoder: Makes the pictures that somebody watches.
        camera: Where pictures of a visitor's camera go; None where the source is another.
        read_only: Viewers control nothing.

    Attributes:
        requests: What viewers have asked for, until the run takes it; of too many the oldest are dropped.
        status: How the run is doing.
        on_request: Called after each request.
        camera_taken: Whether a visitor's camera is in use.
        refused: Number of requests that were refused, by reason.
    """

    def __init__(
        self,
        settings: PageSettings,
        encoder: PictureEncoder,
        camera: BrowserCamera | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        self.settings = settings
        self.camera = camera
        self.camera_taken = False
        self.desk = ControlDesk(read_only=read_only)
        self.downloads = Downloads()
        self.requests: deque[ViewerRequest] = deque(maxlen=_MOST_REQUESTS)
        self.refused: Counter[str] = Counter()
        self.status = LiveStatus()
        self.on_request: Callable[[], object] = lambda: None
        self._encoder = encoder
        self._view: LiveView | None = None
        self._shown_at_s = 0.0
        self._pictures: dict[PictureKind, list[Outbox[Picture]]] = {}
        self._tracks: dict[TracksKind, list[Outbox[str | bytes]]] = {}
        self._asking = threading.Lock()
        self._settings_asked = SettingChanged()
        self._sent: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()

    def show(self, view: LiveView) -> None:
        """Pass a frame's tracks on; its pictures come from the encoder."""
        self._view, self._shown_at_s = view, time.monotonic()
        for kind, viewers in self._tracks.items():
            if viewers:
                message = self._tracks_message(view, kind)
                for viewer in viewers:
                    viewer.put(message, number=view.tracked.frame.index)

    def deliver(self, picture: Picture) -> None:
        """Pass a picture on."""
        for viewer in self._pictures.get(picture.kind, ()):
            viewer.put(picture, number=picture.frame)

    def tell(self, status: LiveStatus) -> None:
        """Pass on how the run is doing."""
        self.status = status
        self.desk.tell("status", asdict(status))

    def take_requests(self) -> list[ViewerRequest]:
        """What viewers have asked for since the last call; the only method for another thread."""
        asked: list[ViewerRequest] = []
        with self._asking:
            settings, self._settings_asked = self._settings_asked, SettingChanged()
        if settings != SettingChanged():
            asked.append(settings)
        while self.requests:
            asked.append(self.requests.popleft())
        return asked

    def ask(self, request: ViewerRequest) -> None:
        """Take in what a viewer asks for; of a slider that moves, where it is."""
        if isinstance(request, SettingChanged):
            with self._asking:
                before = self._settings_asked
                self._settings_asked = SettingChanged(
                    request.threshold if request.threshold is not None else before.threshold,
                    request.max_keypoints if request.max_keypoints is not None else before.max_keypoints,
                )
        else:
            self.requests.append(request)
        self.on_request()

    def offer(self, path: Path) -> None:
        """Offer a file to be fetched."""
        self.downloads.offer(path)
        self.desk.tell("files", {"files": self.downloads.listed()})

    @contextmanager
    def watching(self, kind: PictureKind, window: int | None) -> Iterator[Outbox[Picture]]:
        """A viewer of pictures, while it is here."""
        encoder = self._encoder
        outbox: Outbox[Picture] = (
            VideoOutbox(lambda: encoder.ask_for_key(kind), window) if kind.codec == "h264" else Outbox(window)
        )
        viewers = self._pictures.setdefault(kind, [])
        viewers.append(outbox)
        encoder.want(self._watched())
        # The last frame again, for whoever comes while there are no new ones.
        encoder.ask_for_key(kind)
        try:
            yield outbox
        finally:
            viewers.remove(outbox)
            encoder.want(self._watched())
            self._count(f"{kind.codec} {kind.variant}", outbox)

    @contextmanager
    def following(self, kind: TracksKind, window: int | None) -> Iterator[Outbox[str | bytes]]:
        """A viewer of tracks, while it is here."""
        outbox: Outbox[str | bytes] = Outbox(window)
        viewers = self._tracks.setdefault(kind, [])
        viewers.append(outbox)
        if self._view is not None:
            outbox.put(self._tracks_message(self._view, kind), number=self._view.tracked.frame.index)
        try:
            yield outbox
        finally:
            viewers.remove(outbox)
            self._count("tracks", outbox)

    @property
    def viewers(self) -> int:
        """Number of connections that get pictures or tracks."""
        return sum(len(viewers) for _, viewers in self._streams())

    def health(self) -> str:
        """Why no frames come; empty where they do."""
        if self.status.phase != "running":
            return self.status.reason
        silent_s = time.monotonic() - self._shown_at_s
        return f"no frame for {silent_s:.0f} s" if silent_s > _SILENT_S and not self.status.still else ""

    def counts(self) -> ViewerCounts:
        """Viewers, and what they got and did not get."""
        connected: Counter[str] = Counter({"control": len(self.desk)})
        sent, skipped = self._sent.copy(), self._skipped.copy()
        for name, viewers in self._streams():
            connected[name] += len(viewers)
            sent[name] += sum(viewer.sent for viewer in viewers)
            skipped[name] += sum(viewer.skipped for viewer in viewers)
        refused = self.refused.copy()
        if self.camera is not None:
            refused["camera picture"] += self.camera.refused
        return ViewerCounts(connected, sent, skipped, refused)

    def close(self) -> None:
        """Send nothing more to anybody."""
        self.desk.close()
        for _, viewers in self._streams():
            for viewer in viewers:
                viewer.close()

    def _streams(self) -> Iterator[tuple[str, list[Outbox[Picture]] | list[Outbox[str | bytes]]]]:
        for kind, pictures in self._pictures.items():
            yield f"{kind.codec} {kind.variant}", pictures
        for tracks in self._tracks.values():
            yield "tracks", tracks

    def _watched(self) -> list[PictureKind]:
        return [kind for kind, viewers in self._pictures.items() if viewers]

    def _count(self, name: str, outbox: Outbox[Picture] | Outbox[str | bytes]) -> None:
        self._sent[name] += outbox.sent
        self._skipped[name] += outbox.skipped

    def _tracks_message(self, view: LiveView, kind: TracksKind) -> str | bytes:
        if not kind.binary:
            return tracks_json(view.tracked)
        return tracks_columns(view.tracked, self.settings.look, keypoints=kind.keypoints)
