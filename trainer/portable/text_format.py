"""How instruction, image and text of an item become one sequence of text."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

#: Where a prompt has its task: "task: search result | query: ", "Instruct: ...\nQuery:".
_TASK = re.compile(r"((?:task|instruct(?:ion)?)\s*:\s*)([^|\n]+?)(\s*[|\n])", re.IGNORECASE)
_SLOT = "{instruction}"
_QUERY_NAMES = ("query", "searchquery", "retrieval-query")
_DOCUMENT_NAMES = ("document", "passage", "corpus", "retrieval-document")


@dataclass(frozen=True)
class TextFormat:
    r"""What an item's parts look like to the model.

    Args:
        kind: "plain" is mmE5's `[IMAGE] {instruction} \\n {text}` and an end token
            (arXiv:2502.08468); "prefix" puts a prompt before the text, "chat" puts
            it into the system turn of the tokenizer's chat template.
        query: Prompt of an instruction, which takes the place of `{instruction}`.
        document: Prompt of an item without an instruction.
        prompts: Prompts that a model brings, by name; they stay as they are.
        default_prompt_name: The one that sentence-transformers takes unasked.
        chat_options: Given to the chat template.
    """

    kind: Literal["plain", "prefix", "chat"] = "plain"
    query: str | None = None
    document: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    chat_options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_embedder(cls, directory: Path) -> Self:
        """The format of a model that sentence-transformers loads as an embedder."""
        config = read_json(directory / "config_sentence_transformers.json")
        found = config.get("prompts") or {}
        prompts = {str(name): str(value) for name, value in found.items() if value is not None}
        default = config.get("default_prompt_name")
        module = read_json(directory / "sentence_bert_config.json")
        is_chat = "message" in (module.get("modality_config") or {})
        options = (module.get("processing_kwargs") or {}).get("chat_template") or {}
        query = _first(prompts, _QUERY_NAMES)
        return cls(
            kind="chat" if is_chat else "prefix",
            query=None if query is None else with_slot(query),
            document=_first(prompts, _DOCUMENT_NAMES) or prompts.get(default or "", ""),
            prompts=prompts,
            default_prompt_name=default if default in prompts else None,
            chat_options={k: v for k, v in options.items() if k == "add_generation_prompt"},
        )

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        return cls(**settings)

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def prompt(self, instruction: str | None) -> str:
        """What stands before the text, or in the system turn.

        Args:
            instruction: An item's own, or a prompt of the model in full.
        """
        if instruction is None:
            return self.document
        if not instruction.strip():
            return ""
        if instruction in self.prompts.values() or self._is_filled(instruction):
            return instruction
        if self.query is not None and _SLOT in self.query:
            return self.query.replace(_SLOT, instruction.strip())
        return instruction if self.kind == "chat" else f"{instruction.strip()} \n "

    def plain(self, instruction: str | None, text: str | None) -> str:
        """Instruction and text as mmE5 writes them; either may be missing."""
        return " \n ".join(part.strip() for part in (instruction, text) if part and part.strip())

    def messages(self, instruction: str | None, text: str | None, *, has_image: bool) -> list[Any]:
        """The turns that a chat template renders."""
        prompt = self.prompt(instruction)
        content: list[dict[str, str]] = [{"type": "image"}] if has_image else []
        if text is not None:
            content.append({"type": "text", "text": text})
        system = {"role": "system", "content": [{"type": "text", "text": prompt}]}
        return [*([system] if prompt else []), {"role": "user", "content": content}]

    def _is_filled(self, prompt: str) -> bool:
        return self.query is not None and _SLOT in self.query and with_slot(prompt) == self.query


def with_slot(prompt: str) -> str:
    """A query prompt with `{instruction}` in place of the task that it names, if it names one."""
    return _TASK.sub(lambda match: match[1] + _SLOT + match[3], prompt, count=1)


def without_tokens(text: str, tokens: re.Pattern[str]) -> str:
    """A text in which no special token is spelled: a blank parts each after its first sign.

    Dataset texts are anyone's; one that spells the image token would ask for
    an image that is not there.
    """
    return tokens.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)


def token_pattern(tokens: list[str]) -> re.Pattern[str]:
    """Finds any of these tokens in a text; the longest where several begin."""
    spelled = sorted({token for token in tokens if len(token) > 1}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, spelled)) or r"(?!)")


def read_json(path: Path) -> dict[str, Any]:
    """Content of a JSON file, or an empty dict where there is none.

    Raises:
        ValueError: It is no JSON object.
    """
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return content


def _first(prompts: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    lowered = {name.lower(): prompt for name, prompt in prompts.items()}
    return next((lowered[name] for name in names if name in lowered), None)
