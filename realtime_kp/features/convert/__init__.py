"""Networks for other programs: ONNX, OpenVINO and TorchScript, alone or with all up to the keypoints."""

from realtime_kp.features.convert.formats import FORMATS, Conversion, convert

__all__ = ["FORMATS", "Conversion", "convert"]
