"""Downloads images by URL: politely, within limits, and never from a private address."""

from builder.images.sources.download.downloader import Downloader, Failed, UrlOptions

__all__ = ["Downloader", "Failed", "UrlOptions"]
