"""A BERT whose token states are averaged, of one layer or several: multilingual E5 and its kin."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils.rnn import pad_sequence
from transformers import BertConfig, BertModel

from trainer.portable.tower import Tower

# B texts, T tokens, F features

TOKENIZER_NAME = "tokenizer.json"
_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


class BertTextTower(Tower):
    """Mean over the tokens of a BERT, of each layer L2-normalised.

    Earlier layers know more of the words themselves, and cost nothing: the last
    one needs them anyway.

    Args:
        bert: Without pooling layer.
        tokenizer: Adds the model's special tokens itself.
        prefix: Stands before every text. E5 wants "query: " on both sides of a
            symmetric task (its model card).
        max_tokens: Longer texts are truncated; special tokens and prefix count.
        layers: Whose states are averaged, one after another in the features; 0 is the
            embeddings. None is the last one, as E5 itself has it.
        saved_dtype: How weights are written, such as torch.float16 where they are no finer.
    """

    modality: ClassVar[Literal["text", "image"]] = "text"

    def __init__(
        self,
        bert: BertModel,
        tokenizer: Tokenizer,
        *,
        prefix: str,
        max_tokens: int,
        layers: Sequence[int] | None = None,
        saved_dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.bert = bert
        self.prefix = prefix
        self.saved_dtype = saved_dtype
        self.max_tokens = min(max_tokens, bert.config.max_position_embeddings)
        self.tokenizer = tokenizer
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.max_tokens)
        self.layers = (bert.config.num_hidden_layers,) if layers is None else tuple(layers)
        self.dim = bert.config.hidden_size * len(self.layers)

    def prepare(self, item: str) -> list[int]:
        return self.tokenizer.encode(self.prefix + item).ids

    def num_tokens(self, prepared: list[int]) -> int:
        return len(prepared)

    def forward(self, batch: Sequence[list[int]]) -> Tensor:
        # Texts of like length share a batch: little padding, and no mask where there is none.
        order = sorted(range(len(batch)), key=lambda row: len(batch[row]))
        chunks = [
            self._features([batch[row] for row in order[start : start + self.batch_size]])
            for start in range(0, len(order), self.batch_size)
        ]
        place = torch.empty(len(order), dtype=torch.long)
        place[torch.tensor(order, dtype=torch.long)] = torch.arange(len(order))
        return torch.cat(chunks)[place.to(chunks[0].device)]

    def _features(self, batch: Sequence[list[int]]) -> Tensor:
        device = self.bert.embeddings.word_embeddings.weight.device
        rows = [torch.tensor(ids, dtype=torch.long) for ids in batch]
        pad_id: int = self.bert.config.pad_token_id or 0
        ids_BT = pad_sequence(rows, batch_first=True, padding_value=pad_id).to(device)
        num_tokens_B = torch.tensor([len(ids) for ids in batch], device=device)
        mask_BT = torch.arange(ids_BT.shape[1], device=device) < num_tokens_B[:, None]
        is_even = len(batch[0]) == len(batch[-1])
        states_by_layer = self.bert(
            input_ids=ids_BT,
            attention_mask=None if is_even else mask_BT.long(),
            output_hidden_states=True,
        ).hidden_states
        parts: list[Tensor] = []
        for layer in self.layers:
            total_BF = (states_by_layer[layer].float() * mask_BT[:, :, None]).sum(1)
            parts.append(normalize(total_BF / num_tokens_B[:, None], dim=-1))
        return torch.cat(parts, dim=1)

    def settings(self) -> dict[str, Any]:
        config = self.bert.config.to_diff_dict()
        # Where it was loaded from and by which version changes nothing.
        for name in ("_name_or_path", "transformers_version", "architectures", "dtype"):
            config.pop(name, None)
        saved_dtype = self.saved_dtype and str(self.saved_dtype).removeprefix("torch.")
        return {
            "bert": config,
            "prefix": self.prefix,
            "max_tokens": self.max_tokens,
            "layers": list(self.layers),
            "saved_dtype": saved_dtype,
        }

    @classmethod
    def from_settings(cls, settings: dict[str, Any], directory: Path) -> "BertTextTower":
        return cls(
            BertModel(BertConfig(**settings["bert"]), add_pooling_layer=False),
            Tokenizer.from_file(str(directory / TOKENIZER_NAME)),
            prefix=settings["prefix"],
            max_tokens=settings["max_tokens"],
            layers=settings.get("layers"),  # older exports have the last one alone
            saved_dtype=_DTYPES[settings["saved_dtype"]] if settings["saved_dtype"] else None,
        )

    def language_model(self) -> tuple[nn.Module, str]:
        return self.bert, "encoder"

    def save_files(self, directory: Path) -> None:
        self.tokenizer.save(str(directory / TOKENIZER_NAME))
