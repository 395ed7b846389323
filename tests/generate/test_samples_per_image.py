"""`images.max_samples_per_image` in a build whose rounds plan again what was dropped."""

from collections.abc import Callable

from builder.generate.rounds import Rounds
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.ledger.query_images import query_image_counts
from builder.workspace import Workspace
from tests.generate.conftest import build, make_config
from tests.generate.fault_server import Faults, FaultServer


def test_a_build_that_drops_and_plans_again_keeps_to_the_bound(
    serve: Callable[..., FaultServer], new_workspace: Callable[..., Workspace]
) -> None:
    serve(Faults(rates={"not_json": 0.3}, mended_by_correction=False))
    workspace = new_workspace()
    images = {"embedder": "descriptor", "window": (-1, 1), "max_samples_per_image": 3}
    config = make_config(48, images=images)
    summary = build(workspace, config)
    assert summary.num_kept == 48
    with Ledger(workspace.ledger_path) as ledger, ImageStore(workspace.images_dir) as store:
        assert max(query_image_counts(ledger).values()) <= 3
        assert len(ledger.rounds()) > 1
        rounds = Rounds(config, ledger, store)
        for record in ledger.rounds():  # each comes out again as it was
            assert rounds.replan(record).hash == record.plan_hash
