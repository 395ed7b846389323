"""Writes a release in the formats other trainers read."""

from builder.publish.exports.mme5 import export_mme5
from builder.publish.exports.sentence_transformers import export_sentence_transformers
from builder.publish.exports.target import Exported, ExportError
from builder.publish.exports.vlm2vec import export_vlm2vec
from builder.publish.exports.webdataset import export_webdataset

FORMATS = {
    "mme5": export_mme5,
    "sentence-transformers": export_sentence_transformers,
    "vlm2vec": export_vlm2vec,
    "webdataset": export_webdataset,
}

__all__ = ["FORMATS", "ExportError", "Exported"]
