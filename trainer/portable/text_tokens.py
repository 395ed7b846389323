"""A text as token ids, and a batch of them as tensors."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoTokenizer

from trainer.portable.text_format import token_pattern, without_tokens

# B texts, L tokens

#: No token is longer; longer texts are cut before they are split into tokens.
_MAX_CHARS_PER_TOKEN = 128


class TextTokens:
    """A tokenizer of transformers with a bound on length; several threads may call it.

    Args:
        tokenizer: Adds the model's special tokens itself.
        max_tokens: Longer texts are truncated; special tokens and prefix count.
        prefix: Stands before every text.
        is_padded: Every text gets `max_tokens` ids, and the model reads the padding.
    """

    def __init__(
        self, tokenizer: Any, *, max_tokens: int, prefix: str = "", is_padded: bool = False
    ) -> None:
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.prefix = prefix
        self.is_padded = is_padded
        added = tokenizer.added_tokens_decoder.values()
        self._special = token_pattern([token.content for token in added if token.special])
        self("")  # sets truncation once: a later change would not be safe among threads

    @classmethod
    def read(
        cls, directory: Path, *, max_tokens: int, prefix: str = "", is_padded: bool = False
    ) -> "TextTokens":
        """The tokenizer of a model's directory; a lower bound of its own is kept.

        Raises:
            ValueError: It is of no type that transformers knows.
            OSError: Files are missing.
        """
        tokenizer = AutoTokenizer.from_pretrained(
            directory, trust_remote_code=False, local_files_only=True
        )
        special = {token.content for token in tokenizer.added_tokens_decoder.values()}
        if not set(tokenizer.get_vocab()) - special:
            raise ValueError("it has no tokenizer (tokenizer.json or vocabulary files)")
        if not is_padded:
            max_tokens = min(max_tokens, tokenizer.model_max_length)
        return cls(tokenizer, max_tokens=max_tokens, prefix=prefix, is_padded=is_padded)

    @property
    def pad_id(self) -> int:
        pad_id = self.tokenizer.pad_token_id
        return 0 if pad_id is None else pad_id

    def __call__(self, text: str) -> list[int]:
        """Token ids, truncated; a special token that the text spells out is taken apart."""
        text = text[: self.max_tokens * _MAX_CHARS_PER_TOKEN]
        text = without_tokens(text.encode("utf-8", "replace").decode("utf-8"), self._special)
        ids: list[int] = self.tokenizer(
            self.prefix + text,
            truncation=True,
            max_length=self.max_tokens,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )["input_ids"]
        if self.is_padded:
            ids += [self.pad_id] * (self.max_tokens - len(ids))
        return ids

    def inputs(self, batch: Sequence[Sequence[int]], device: torch.device) -> dict[str, Tensor]:
        """Inputs of a network: ids of shape (B, L), padded on the right, and their mask."""
        rows = [torch.tensor(ids, dtype=torch.long) for ids in batch]
        ids_BL = pad_sequence(rows, batch_first=True, padding_value=self.pad_id).to(device)
        if self.is_padded:
            return {"input_ids": ids_BL}
        num_tokens_B = torch.tensor([len(ids) for ids in batch], device=device)
        mask_BL = torch.arange(ids_BL.shape[1], device=device) < num_tokens_B[:, None]
        return {"input_ids": ids_BL, "attention_mask": mask_BL.long()}

    def digest(self) -> str:
        """Equal for tokenizers that give equal ids."""
        core = getattr(self.tokenizer, "backend_tokenizer", None)
        text = core.to_str() if core is not None else repr(sorted(self.tokenizer.get_vocab()))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def save(self, directory: Path) -> None:
        """Writes the tokenizer's files."""
        self.tokenizer.save_pretrained(directory)
