from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources import PicturesSource, read_picture
from tests.conftest import numbered_image

ORIENTATION_TAG = 0x0112


def save(path: Path, image: NDArray[np.uint8] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = numbered_image(0) if image is None else image
    Image.fromarray(np.ascontiguousarray(image[..., ::-1])).save(path)
    return path


def read(location: str | Path, start_s: float = 0.0) -> tuple[list[Frame], str | None]:
    with PicturesSource(location, start_s=start_s) as source:
        return list(source), source.damage


def names(frames: list[Frame]) -> list[str]:
    return [Path(frame.origin).name for frame in frames]


def test_folder_comes_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.png", "2.png", "1.png", "shot b10.png", "shot b9.png"):
        save(tmp_path / name)
    frames, damage = read(tmp_path)
    assert names(frames) == ["1.png", "2.png", "10.png", "shot b9.png", "shot b10.png"]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.origin for frame in frames] == [str(tmp_path / name) for name in names(frames)]
    assert damage is None


@pytest.mark.parametrize("name", ["1²2.png", "٣.png", "₁.png", "½.png"])
def test_unusual_digits_in_a_name_do_no_harm(tmp_path: Path, name: str) -> None:
    save(tmp_path / name)
    save(tmp_path / "7.png")
    assert sorted(names(read(tmp_path)[0])) == sorted([name, "7.png"])


def test_names_that_differ_in_leading_zeros_only_have_one_order(tmp_path: Path) -> None:
    leading = [f"{'0' * zeros}1.png" for zeros in range(6)]
    for name in leading:
        save(tmp_path / "a" / name)
    for name in reversed(leading):
        save(tmp_path / "b" / name)
    assert names(read(tmp_path / "a")[0]) == names(read(tmp_path / "b")[0]) == sorted(leading)


def test_folder_leaves_out_what_is_no_picture(tmp_path: Path) -> None:
    save(tmp_path / "a.PNG")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder.png").mkdir()
    assert names(read(tmp_path)[0]) == ["a.PNG"]


def test_sizes_may_differ(tmp_path: Path) -> None:
    save(tmp_path / "1.png", numbered_image(0, (64, 48)))
    save(tmp_path / "2.png", numbered_image(1, (31, 17)))
    with PicturesSource(tmp_path) as source:
        info, frames = source.info, list(source)
    assert [frame.size_wh for frame in frames] == [(64, 48), (31, 17)]
    assert (info.size_wh, info.frame_count, info.still, info.live) == (None, 2, True, False)


def test_times_follow_the_rate(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png")
    with PicturesSource(tmp_path, fps=4) as source:
        assert source.info.fps == 4
        assert [frame.time_s for frame in source] == [0, 0.25, 0.5]


def test_start_passes_over_the_first_pictures(tmp_path: Path) -> None:
    for number in range(5):
        save(tmp_path / f"{number}.png")
    frames, _ = read(tmp_path, start_s=0.2)
    assert names(frames) == ["2.png", "3.png", "4.png"]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.time_s for frame in frames] == pytest.approx([0.2, 0.3, 0.4])


def test_start_after_the_last_picture_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "0.png")
    with pytest.raises(SourceError):
        read(tmp_path, start_s=10)


def test_colours_are_blue_green_red(tmp_path: Path) -> None:
    image = np.empty((4, 4, 3), np.uint8)
    image[:] = (10, 120, 250)
    assert np.array_equal(read_picture(save(tmp_path / "a.png", image)), image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8] = 255
    upright[8:, 16:] = 128
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    assert np.array_equal(read_picture(path), upright)


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_alpha_is_laid_on_black(tmp_path: Path, alpha: int) -> None:
    Image.new("RGBA", (4, 4), (200, 100, 50, alpha)).save(tmp_path / "a.png")
    expected = np.array((50, 100, 200)) * alpha / 255
    assert np.abs(read_picture(tmp_path / "a.png").reshape(-1, 3) - expected).max() <= 1


def test_transparent_palette_is_laid_on_black(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 200, 100, 50])
    picture.save(tmp_path / "a.png", transparency=1)
    assert not read_picture(tmp_path / "a.png").any()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_grey_is_scaled(tmp_path: Path, suffix: str) -> None:
    deep = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    path = tmp_path / f"a{suffix}"
    assert cv2.imwrite(str(path), deep)
    image = read_picture(path)
    assert image.shape == (16, 16, 3)
    assert np.array_equal(image[..., 0].ravel(), np.arange(256))
    assert np.array_equal(image[..., 0], image[..., 2])


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA"])
def test_any_colour_mode_becomes_eight_bit_bgr(tmp_path: Path, mode: str) -> None:
    suffix = ".tif" if mode == "CMYK" else ".png"
    Image.new("RGB", (6, 4), (255, 255, 255)).convert(mode).save(tmp_path / f"a{suffix}")
    image = read_picture(tmp_path / f"a{suffix}")
    assert (image.shape, image.dtype) == ((4, 6, 3), np.uint8)
    assert image.min() == 255


def test_unreadable_picture_among_good_ones_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "1.png")
    (tmp_path / "2.png").write_text("no picture")
    save(tmp_path / "3.png")
    (tmp_path / "4.png").write_bytes((tmp_path / "3.png").read_bytes()[:60])
    frames, damage = read(tmp_path)
    assert names(frames) == ["1.png", "3.png"]
    # Those after it keep their places.
    assert [frame.index for frame in frames] == [0, 2]
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.2])
    assert damage is not None
    assert "2 of 4 pictures could not be read" in damage
    assert "2.png" in caplog.text
    assert "4.png" in caplog.text


@pytest.mark.parametrize("content", [b"", b"no picture"], ids=["empty", "text"])
def test_single_broken_picture_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.png"):
        read(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp"])
def test_truncated_picture_is_an_error(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    path = save(tmp_path / f"a{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match=rf"a\{suffix}"):
        read(path)


def test_absurd_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 20000 20000 255\n")
    with pytest.raises(SourceError, match="too many pixels"):
        read_picture(path)


def test_only_broken_pictures_are_an_error(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no picture")
    with pytest.raises(SourceError, match="none of the 2 pictures"):
        read(tmp_path)


def test_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SourceError, match="holds no pictures"):
        read(tmp_path)


def test_glob_takes_what_matches(tmp_path: Path) -> None:
    for name in ("a10.png", "a2.png", "b1.png", "a3.txt"):
        (tmp_path / name).write_text("x") if name.endswith("txt") else save(tmp_path / name)
    assert names(read(str(tmp_path / "a*"))[0]) == ["a2.png", "a10.png"]


def test_existing_name_with_brackets_is_no_glob(tmp_path: Path) -> None:
    save(tmp_path / "shot[1].png")
    save(tmp_path / "shot1.png")
    assert names(read(str(tmp_path / "shot[1].png"))[0]) == ["shot[1].png"]


@pytest.mark.parametrize("name", ["gone.png", "gone*.png"])
def test_nothing_found_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="gone"):
        read(str(tmp_path / name))


def test_missing_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no file .*gone\.png"):
        read_picture(tmp_path / "gone.png")


def test_info_needs_an_open_source(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        _ = PicturesSource(tmp_path).info


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    save(tmp_path / "1.png")
    save(tmp_path / ".hidden.png")
    (tmp_path / "._1.png").write_bytes(b"\0\5\x16\7 of another system")
    frames, damage = read(tmp_path)
    assert names(frames) == ["1.png"]
    assert damage is None
    assert names(read(str(tmp_path / "*.png"))[0]) == ["1.png"]


def test_links_that_lead_nowhere_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "1.png")
    (tmp_path / "2.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "3.png").symlink_to(tmp_path / "3.png")
    (tmp_path / "4.png").symlink_to(tmp_path / "1.png")
    assert names(read(tmp_path)[0]) == ["1.png", "4.png"]
    assert "2.png is a link that leads nowhere" in caplog.text
    assert "3.png is a link that leads nowhere" in caplog.text


def test_formats_that_are_not_read_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "1.png")
    (tmp_path / "2.heic").write_bytes(b"\0\0\0\x18ftypheic")
    assert names(read(tmp_path)[0]) == ["1.png"]
    assert "1 pictures are in a format that is not read, such as 2.heic" in caplog.text


def test_avif_is_a_picture_of_a_folder(tmp_path: Path) -> None:
    save(tmp_path / "1.avif", numbered_image(4))
    save(tmp_path / "2.png", numbered_image(5))
    frames, _ = read(tmp_path)
    assert names(frames) == ["1.avif", "2.png"]
    assert float(frames[0].image_bgr.mean()) == pytest.approx(float(numbered_image(4).mean()), abs=4)


def deep_folder(folder: Path, scales: list[float], kind: type = np.uint16, most: float = 4095) -> Path:
    """Pictures of one ramp at several brightnesses, in values of more than eight bits."""
    folder.mkdir()
    ramp = np.linspace(0, 1, 48 * 64).reshape(48, 64)
    for number, scale in enumerate(scales):
        Image.fromarray((ramp * scale * most).astype(kind)).save(folder / f"{number}.tif")
    return folder


@pytest.mark.parametrize(
    ("kind", "most"), [(np.uint16, 1023), (np.uint16, 4095), (np.uint16, 65_535), (np.float32, 1.0)]
)
def test_deep_pictures_fill_the_range_and_keep_their_relations(
    tmp_path: Path, kind: type, most: float
) -> None:
    frames, _ = read(deep_folder(tmp_path / "deep", [1.0, 0.5, 0.02, 1.0], kind, most))
    brightest = [int(frame.image_bgr.max()) for frame in frames]
    assert brightest[0] == brightest[3] >= 250
    assert brightest[1] == pytest.approx(brightest[0] / 2, abs=3)
    assert brightest[2] == pytest.approx(brightest[0] * 0.02, abs=2)


def test_the_range_of_deep_pictures_can_be_given(tmp_path: Path) -> None:
    folder = deep_folder(tmp_path / "deep", [1.0])
    with PicturesSource(folder, value_range=(1000.0, 2000.0)) as source:
        (frame,) = list(source)
    column = frame.image_bgr[..., 0].ravel().astype(float)
    expected = np.clip((np.linspace(0, 4095, 48 * 64) - 1000) / 1000, 0, 1) * 255
    assert np.abs(column - expected).max() <= 1.5
