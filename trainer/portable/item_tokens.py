"""Token ids of an item: instruction, image and text, of which only text is truncated."""

from collections.abc import Sequence
from typing import Any

from trainer.portable.families import Family
from trainer.portable.image_tokens import Vocabulary
from trainer.portable.text_format import TextFormat, token_pattern, without_tokens

#: No token is longer; longer texts are cut before they are split into tokens.
_MAX_CHARS_PER_TOKEN = 128


class ItemTokens:
    """A tokenizer with a model's own way to write an item; several threads may call it.

    Args:
        tokenizer: A fast tokenizer of transformers.
        config: The model's configuration.
        max_tokens: Of instruction and text together in the plain format, else of the text.

    Raises:
        ValueError: The tokenizer lacks what the format needs.
    """

    def __init__(
        self,
        tokenizer: Any,
        config: Any,
        family: Family,
        text_format: TextFormat,
        max_tokens: int,
    ) -> None:
        self.tokenizer = tokenizer
        self.family = family
        self.text_format = text_format
        self.max_tokens = max_tokens
        self._core: Any = getattr(tokenizer, "backend_tokenizer", None)
        if self._core is None:
            raise ValueError("its tokenizer has no tokenizer.json; save it as a fast tokenizer")
        self._core.no_truncation()
        self._core.no_padding()
        self.vocabulary = Vocabulary(config, self._core.token_to_id, self._encode)
        image_id = self.vocabulary.image_id
        placeholder = family.placeholder
        self._placeholder_id = (
            image_id if placeholder is None else self.vocabulary.special(placeholder)
        )
        special = [item.content for item in tokenizer.added_tokens_decoder.values() if item.special]
        media = [tokenizer.convert_ids_to_tokens(id) for id in {image_id, self._placeholder_id}]
        self._special = token_pattern([*special, *(token for token in media if token)])
        self._begin = self._begin_ids()
        self._end = self._end_ids()
        self._around: list[list[int]] = [[], []]
        if family.around is not None:
            self._around = [[self.vocabulary.special(token)] for token in family.around]

    @property
    def pad_id(self) -> int:
        pad_id = self.tokenizer.pad_token_id
        return 0 if pad_id is None else pad_id

    def __call__(
        self, instruction: str | None, text: str | None, image_ids: Sequence[int] | None
    ) -> list[int]:
        """Token ids of an item.

        Args:
            instruction: Of the item, or a prompt of the model.
            text: Truncated where it is too long.
            image_ids: Its picture; never truncated.
        """
        instruction = None if instruction is None else self._clean(instruction)
        text = None if text is None else self._clean(text)
        if self.text_format.kind == "plain":
            return self._plain(self.text_format.plain(instruction, text), image_ids)
        instruction = None if instruction is None else self._cut(instruction)
        text = None if text is None else self._cut(text)
        if self.text_format.kind == "chat":
            return self._chat(instruction, text, image_ids)
        return self._prefixed(self.text_format.prompt(instruction) + (text or ""), image_ids)

    def _plain(self, text: str, image_ids: Sequence[int] | None) -> list[int]:
        ids = self._encode(text)[: self.max_tokens]
        before, after = self._around
        image = [] if image_ids is None else [*before, *image_ids, *after]
        if self.family.image_before_bos:
            return [*image, *self._begin, *ids, *self._end]
        return [*self._begin, *image, *ids, *self._end]

    def _prefixed(self, text: str, image_ids: Sequence[int] | None) -> list[int]:
        ids = self._core.encode(text, add_special_tokens=True).ids
        if image_ids is None:
            return ids
        before, after = self._around
        place = len(self._begin) if ids[: len(self._begin)] == self._begin else 0
        return [*ids[:place], *before, *image_ids, *after, *ids[place:]]

    def _chat(
        self, instruction: str | None, text: str | None, image_ids: Sequence[int] | None
    ) -> list[int]:
        messages = self.text_format.messages(instruction, text, has_image=image_ids is not None)
        rendered = self.tokenizer.apply_chat_template(
            messages, tokenize=False, **self.text_format.chat_options
        )
        begin = self.tokenizer.bos_token
        has_begin = begin is not None and rendered.startswith(begin)
        ids = self._core.encode(rendered, add_special_tokens=not has_begin).ids
        num_places = ids.count(self._placeholder_id)
        if num_places != (image_ids is not None):
            raise ValueError(
                f"the model's chat template has {num_places} places for images in a message with "
                f"{int(image_ids is not None)}"
            )
        if image_ids is None:
            return ids
        place = ids.index(self._placeholder_id)
        return [*ids[:place], *image_ids, *ids[place + 1 :]]

    def _encode(self, text: str) -> list[int]:
        return self._core.encode(text, add_special_tokens=False).ids

    def _clean(self, text: str) -> str:
        """Text of bounded length, encodable, and with no special token spelled out."""
        text = text[: self.max_tokens * _MAX_CHARS_PER_TOKEN]
        text = text.encode("utf-8", "replace").decode("utf-8")
        return without_tokens(text, self._special)

    def _cut(self, text: str) -> str:
        """The text up to its last token that is kept."""
        encoding = self._core.encode(text, add_special_tokens=False)
        if len(encoding.ids) <= self.max_tokens:
            return text
        return text[: encoding.offsets[self.max_tokens - 1][1]]

    def _begin_ids(self) -> list[int]:
        begins = {self.tokenizer.bos_token_id, self.tokenizer.cls_token_id} - {None}
        if self.family.image_before_bos and self.tokenizer.bos_token_id is not None:
            return [self.tokenizer.bos_token_id]
        probe = self._core.encode("", add_special_tokens=True).ids
        return probe[:1] if probe and probe[0] in begins else []

    def _end_ids(self) -> list[int]:
        for token_id in (self.tokenizer.eos_token_id, self.tokenizer.sep_token_id):
            if token_id is not None:
                return [token_id]
        raise ValueError("its tokenizer has no end token, whose state is the embedding")
