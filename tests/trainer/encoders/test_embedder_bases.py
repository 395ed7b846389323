"""Base models that are embedders already keep their pooling, prompts and format."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.trainer.encoders.embedding import (
    A,
    B,
    embed,
    encode_input,
    make,
    text_of,
)
from tests.trainer.tiny_models import make_embedder
from trainer.data.items import Item
from trainer.encoders.base_model import BaseModelError
from trainer.encoders.vision_language import VisionLanguageEncoder

CHAT = """{%- for message in messages %}<turn>{{ message['role'] }}
{%- for part in message['content'] %}
{%- if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end>
{% endfor %}{% if add_generation_prompt %}<turn>assistant
{% endif %}"""


@pytest.fixture
def chat_embedder(bases: Path, tmp_path: Path) -> Path:
    """Idefics 3 as Qwen3-VL-Embedding is: chat template, prompts, last token."""
    base = shutil.copytree(bases / "idefics3", tmp_path / "embedder")
    (base / "chat_template.jinja").write_text(CHAT.replace("IMAGE", "<image>"))
    (base / "processor_config.json").write_text(
        json.dumps({"processor_class": "Idefics3Processor", "image_seq_len": 4})
    )
    prompts = {"query": "Represent the user's input."}
    return make_embedder(base, pooling="lasttoken", prompts=prompts, is_chat=True)


CHAT_ITEMS = [
    Item(None, "a red bicycle"),
    Item("Find it.", "кошка"),
    Item("Find it.", "which colour?", A),
    Item(None, None, B),
    Item("Find it.", None, A),
    Item(None, "停在墙边的自行车", B),
]


def test_an_embedder_gives_what_sentence_transformers_own_module_gives(
    chat_embedder: Path,
) -> None:
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(chat_embedder), device="cpu", local_files_only=True)
    assert type(reference[0]).__name__ == "Transformer"
    encoder = VisionLanguageEncoder.load(chat_embedder)
    for item in CHAT_ITEMS:
        expected = reference.encode([encode_input(item)], prompt=item.instruction)[0]
        assert embed(encoder, item)[0].numpy() @ expected >= 0.99999, item


def test_an_embedders_export_keeps_prompts_and_format(chat_embedder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    encoder = make(chat_embedder)
    for name, parameter in encoder.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    encoder.eval().save(tmp_path / "model")
    model = SentenceTransformer(
        str(tmp_path / "model"), device="cpu", trust_remote_code=True, local_files_only=True
    )
    assert model.prompts["query"] == "Represent the user's input."
    reloaded = VisionLanguageEncoder.load(tmp_path / "model")
    for item in CHAT_ITEMS:
        trained_D = embed(encoder, item)[0]
        torch.testing.assert_close(embed(reloaded, item)[0], trained_D, rtol=0, atol=2e-6)
        vector_D = model.encode([encode_input(item)], prompt=item.instruction)[0]
        assert vector_D @ trained_D.numpy() >= 0.99999, item
    named = model.encode(["a cat"], prompt_name="query")[0]
    item = Item("Represent the user's input.", "a cat")
    assert named @ embed(encoder, item)[0].numpy() >= 0.99999


def test_an_embedders_prompts_take_the_instruction_in_the_place_of_their_task(
    bases: Path, tmp_path: Path
) -> None:
    prompts = {"query": "task: search result | query: ", "document": "title: none | text: "}
    base = shutil.copytree(bases / "gemma3", tmp_path / "embedder")
    make_embedder(base, pooling="mean", prompts=prompts, is_chat=False)
    encoder = make(base)
    assert encoder.head.mode == "mean"
    assert text_of(encoder, Item(None, "a cat")) == "<bos>title: none | text: a cat"
    assert text_of(encoder, Item("Find it.", "a cat")) == "<bos>task: Find it. | query: a cat"
    for prompt in prompts.values():  # as sentence-transformers hands them over
        assert text_of(encoder, Item(prompt, "a cat")) == f"<bos>{prompt}a cat"
    with_image = text_of(encoder, Item("Find it.", "a cat", A))
    assert with_image.startswith("<bos>\n\n<start_of_image>")
    assert with_image.endswith("<end_of_image>\n\ntask: Find it. | query: a cat")


def test_an_embedders_dense_layer_is_kept_and_written_again(bases: Path, tmp_path: Path) -> None:
    base = shutil.copytree(bases / "qwen3_vl", tmp_path / "embedder")
    make_embedder(base, pooling="lasttoken", prompts={}, is_chat=False)
    modules = json.loads((base / "modules.json").read_text())
    dense = {"idx": 2, "name": "2", "path": "2_Dense"}
    modules[2:] = [{**dense, "type": "sentence_transformers.models.Dense"}]
    (base / "modules.json").write_text(json.dumps(modules))
    (base / "2_Dense").mkdir()
    settings = {"in_features": 64, "out_features": 24, "bias": True}
    settings["activation_function"] = "torch.nn.modules.activation.Tanh"
    (base / "2_Dense/config.json").write_text(json.dumps(settings))
    weights = {"linear.weight": torch.randn(24, 64), "linear.bias": torch.randn(24)}
    save_file(weights, base / "2_Dense/model.safetensors")
    encoder = make(base).eval()
    assert encoder.embedding_dim == 24
    item = Item(None, "a cat")
    encoder.save(tmp_path / "model")
    written = load_file(tmp_path / "model/2_Dense/model.safetensors")
    assert all(torch.equal(written[name], weights[name]) for name in weights)
    reloaded = VisionLanguageEncoder.load(tmp_path / "model")
    torch.testing.assert_close(embed(reloaded, item), embed(encoder, item), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("path", "change", "what"),
    [
        ("modules.json", ("sentence_transformers.base.modules.normalize.Normalize", "my.Own"),
         "names my.Own, which is not known here"),
        ("modules.json", ('"1_Pooling"', '"../1_Pooling"'), "outside of the model"),
        ("1_Pooling/config.json", ("lasttoken", "weightedmean"), "mode weightedmean"),
        ("1_Pooling/config.json", ("true", "false"), "include_prompt false"),
        ("1_Pooling/config.json", ("64", "65"), "pools 65 values per token; the model has 64"),
    ],
)  # fmt: skip
def test_an_embedder_with_parts_that_are_not_known_is_refused(
    chat_embedder: Path, path: str, change: tuple[str, str], what: str
) -> None:
    file = chat_embedder / path
    assert change[0] in file.read_text()
    file.write_text(file.read_text().replace(*change))
    with pytest.raises(BaseModelError, match=re.escape(what)):
        make(chat_embedder)


def test_code_of_a_base_model_is_never_run(bases: Path, tmp_path: Path) -> None:
    """mmE5 is such a base: its one module is a class of its own."""
    base = shutil.copytree(bases / "mllama", tmp_path / "base")
    entry = {"idx": 0, "name": "0", "path": "", "type": "custom_st.MultiModalTransformer"}
    (base / "modules.json").write_text(json.dumps([entry]))
    (base / "custom_st.py").write_text("raise SystemExit('code of the base was run')")
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        content = json.loads((base / name).read_text())
        kinds = ("AutoConfig", "AutoModel", "AutoTokenizer", "AutoImageProcessor")
        content["auto_map"] = dict.fromkeys(kinds, "custom_st.MultiModalTransformer")
        (base / name).write_text(json.dumps(content))
    encoder = make(base)
    assert text_of(encoder, Item("Find it.", "a cat", A)) == "<|image|><bos>Find it. \n a cat<eos>"
