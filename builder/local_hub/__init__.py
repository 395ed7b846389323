"""A small Hub for one machine that speaks the protocol of huggingface.co; not for production."""

from builder.local_hub.app import create_app
from builder.local_hub.auth import parse_tokens
from builder.local_hub.hub import Limits
from builder.local_hub.server import HubStartError, serve

__all__ = ["HubStartError", "Limits", "create_app", "parse_tokens", "serve"]
