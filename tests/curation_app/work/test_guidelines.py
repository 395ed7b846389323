"""Guidelines: versions that are only added to, published by leads, plain text."""

from pathlib import Path

import pytest

from curation_app.store import Database
from curation_app.work.guidelines import GuidelineError, Guidelines
from curation_app.work.people import Person

LEAD = Person("lead-1", "lead")


@pytest.fixture
def guidelines(tmp_path: Path):
    database = Database(tmp_path / "reviews.sqlite")
    yield Guidelines(database)
    database.close()


def test_the_latest_version_is_in_force_and_earlier_ones_stay(guidelines: Guidelines) -> None:
    assert guidelines.current() is None and guidelines.version_in_force is None
    guidelines.publish("First.\r\n\r\nSecond paragraph.", author=LEAD)
    assert guidelines.publish("Other.", author=LEAD).version == 2
    assert guidelines.version_in_force == 2
    assert [each.text for each in guidelines.versions()] == [
        "First.\n\nSecond paragraph.",
        "Other.",
    ]


def test_the_same_text_again_is_no_new_version(guidelines: Guidelines) -> None:
    first = guidelines.publish("Accept what fits.", author=LEAD)
    assert guidelines.publish("Accept what fits.\n", author=LEAD) == first


def test_only_leads_publish_and_only_what_can_be_read(guidelines: Guidelines) -> None:
    with pytest.raises(GuidelineError, match="reviewer-1 is not a lead"):
        guidelines.publish("Mine.", author=Person("reviewer-1"))
    with pytest.raises(GuidelineError, match="the text of the guidelines is blank"):
        guidelines.publish(" \n", author=LEAD)
    with pytest.raises(GuidelineError, match=r"U\+202E"):
        guidelines.publish("a\u202eb", author=LEAD)
    assert guidelines.versions() == []
