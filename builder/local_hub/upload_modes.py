"""Which files go through LFS, and what a repository's `.gitattributes` says about that."""

import base64
import binascii
from pathlib import PurePosixPath

# fmt: off
_LFS_SUFFIXES = (
    ".7z", ".arrow", ".avro", ".bin", ".bz2", ".ckpt", ".flac", ".gif", ".gz", ".h5", ".jpeg",
    ".jpg", ".joblib", ".lz4", ".mds", ".model", ".mp3", ".mp4", ".msgpack", ".npy", ".npz",
    ".ogg", ".onnx", ".parquet", ".pickle", ".pkl", ".png", ".pt", ".pth", ".rar", ".raw",
    ".safetensors", ".tar", ".tflite", ".tgz", ".tif", ".tiff", ".wav", ".webm", ".webp", ".xz",
    ".zip", ".zst",
)
# fmt: on
_ALWAYS_REGULAR = frozenset(("README.md", ".gitattributes", ".gitignore"))

GIT_ATTRIBUTES = "".join(
    f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in _LFS_SUFFIXES
).encode()


def is_lfs_file(path: str, size: int, sample: str, lfs_above_bytes: int) -> bool:
    """Whether the Hub keeps a file in LFS: by its name, its size, or its binary look.

    Args:
        path: Where it will lie.
        size: In bytes; empty files never go through LFS.
        sample: The first bytes, base64.
        lfs_above_bytes: The largest size that travels inside a commit.
    """
    if path in _ALWAYS_REGULAR or size == 0:
        return False
    if PurePosixPath(path).suffix.lower() in _LFS_SUFFIXES or size > lfs_above_bytes:
        return True
    try:
        return b"\0" in base64.b64decode(sample, validate=True)
    except (binascii.Error, ValueError):
        return False
