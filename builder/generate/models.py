"""The models of a run, opened: where each is reached, how fast, at what price."""

from dataclasses import dataclass

from builder.config import BuildConfig, TeacherConfig
from builder.cost.price import Price, price_of
from builder.cost.upper_bound import CostUpperBound
from builder.endpoint.batch_api import BatchApi
from builder.endpoint.client import Endpoint
from builder.endpoint.no_response import NoResponseWatch
from builder.endpoint.pace import Pace
from builder.endpoint.requests import RequestFactory
from builder.generate.batch import BatchAsker
from builder.generate.batch_courier import BatchCourier
from builder.generate.engine import Teacher
from builder.generate.live import LiveAsker
from builder.generate.refusals import Settings
from builder.generate.run_context import RunContext
from builder.generate.workspace_config import key_tokens_of
from builder.images.store import ImageStore
from builder.plan import targets_of
from schemas.errors import PolysceneError


@dataclass(frozen=True, slots=True)
class OpenModel:
    """One model of a run.

    Args:
        teacher: As the engine asks it.
        endpoint: Where it is reached.
        pace: How fast.
        courier: Carries its batches, those of earlier runs among them.
        batch: Collects its requests in batch mode, else None.
    """

    teacher: Teacher
    endpoint: Endpoint
    pace: Pace
    courier: BatchCourier
    batch: BatchAsker | None

    def watch(self, run: RunContext) -> NoResponseWatch:
        """What gives the endpoint up when it hangs."""
        return NoResponseWatch(self.endpoint, self.pace, run.stop, run.say)

    async def close(self) -> None:
        if self.batch is not None:
            self.batch.close()
        await self.endpoint.close()


def models_of(config: BuildConfig) -> dict[str, TeacherConfig]:
    """A build's models by role: "teacher", and "judge" if one is configured."""
    models = {"teacher": config.teacher}
    return models | ({"judge": config.judge} if config.judge else {})


def has_prices(config: BuildConfig) -> bool:
    """Whether the price of every model is known."""
    return all(price_of(model) is not None for model in models_of(config).values())


def require_prices(config: BuildConfig) -> None:
    """Refuses a limit on money where a price is not known.

    Raises:
        PolysceneError: Names the model, and where to give its price.
    """
    for role, model in models_of(config).items():
        if price_of(model) is None:
            raise PolysceneError(
                f"--max-usd: the price of {model.model} is not known. Give "
                f"`{role}.prices` in the configuration, or use --max-requests."
            )


def open_model(
    run: RunContext, role: str, config: BuildConfig, store: ImageStore, *, batch: bool
) -> OpenModel:
    """Opens a model.

    Args:
        run: The run it is part of.
        role: "teacher" or "judge".
        config: The build.
        store: Images that requests show.
        batch: Whether it is asked through the Batch API.

    Raises:
        EndpointError: There is no key for it.
    """
    model = models_of(config)[role]
    endpoint = Endpoint(model)
    key_tokens = key_tokens_of(run.ledger) if role == "teacher" else None
    factory = request_factory(model, config, store, key_tokens)
    price = price_of(model)
    # The table lists prices of live calls, which batches halve; prices of the configuration are
    # those of whatever it is used for.
    batch_price = price.halved() if price and model.prices is None else price
    price = batch_price if batch else price
    upper_bound = _upper_bound(price, factory, config, store) if price else None
    pace = Pace(config.pace, run.stop)
    courier = BatchCourier(
        run, role, BatchApi(endpoint), model.structured_output, config.batch, batch_price
    )
    courier.delete_leftovers()
    if batch:
        asker = BatchAsker(run, courier, factory, config.pace.max_attempts, upper_bound)
        return OpenModel(
            Teacher(factory, asker, price, upper_bound), endpoint, pace, courier, asker
        )
    wanted = frozenset(targets_of(config).cells)
    settings = Settings(role, config.images.max_side_px, wanted.__contains__)
    live = LiveAsker(run, endpoint, factory, pace, upper_bound, price, settings)
    return OpenModel(Teacher(factory, live, price, upper_bound), endpoint, pace, courier, None)


def request_factory(
    model: TeacherConfig, config: BuildConfig, store: ImageStore, key_tokens: int | None = None
) -> RequestFactory:
    """Makes requests with images no larger than the configuration allows."""
    side = config.images.max_side_px
    return RequestFactory(model, lambda sha256: store.data_url(sha256, side), key_tokens)


def _upper_bound(
    price: Price, factory: RequestFactory, config: BuildConfig, store: ImageStore
) -> CostUpperBound:
    def image_size(sha256: str) -> tuple[int, int]:
        record = store.record(sha256)
        return record.width, record.height

    return CostUpperBound(price, factory, image_size, config.images.max_side_px)
