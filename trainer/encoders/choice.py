"""Which pair of towers a choice stands for."""

from trainer.config import EncoderChoice
from trainer.encoders.tower import Towers
from trainer.errors import EncoderMissingError


def make_towers(choice: EncoderChoice) -> Towers:
    """The towers of a choice; "auto" takes the pretrained ones where their wheels are installed.

    Raises:
        EncoderMissingError: "pretrained" was asked for and is not installed.
    """
    from trainer.encoders.ngram import make_ngram_towers

    if choice == "ngram":
        return make_ngram_towers()
    from trainer.encoders.pretrained import make_pretrained_towers

    try:
        return make_pretrained_towers()
    except EncoderMissingError:
        if choice == "pretrained":
            raise
        return make_ngram_towers()
